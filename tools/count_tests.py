#!/usr/bin/env python3
"""Counts the cases of Meson's JUnit report: prints "N passed, N failed"; fails if any failed or none ran."""

import sys
import xml.etree.ElementTree as ET


def main():
    passed = failed = 0
    for suite in ET.parse(sys.argv[1]).getroot().iter("testsuite"):
        cases = list(suite.iter("testcase"))
        bad = sum(1 for c in cases if c.find("failure") is not None or c.find("error") is not None)
        # A program that dies outside its cases shows up in the suite's own numbers only.
        extra = int(suite.get("errors", 0)) + int(suite.get("failures", 0))
        bad = max(bad, extra)
        failed += bad
        passed += max(len(cases) - bad, 0)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
