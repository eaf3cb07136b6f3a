#!/usr/bin/env python3
"""Counts the cases of a run of `meson test`: prints "N passed, N failed"; fails if any failed or none ran.

    count_tests.py LOGS        (the build folder's meson-logs)

The cases within programs are in testlog.junit.xml. Whether a program as a whole failed is in testlog.json only: one
that died between its cases, left some out or ran out of time has no failed case, and counts as one.
"""

import json
import os
import sys
import xml.etree.ElementTree as ET


def cases_of(path):
    """Program or project name -> [(case name, "passed" | "failed" | "skipped")]."""
    found = {}
    for case in ET.parse(path).getroot().iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None
        outcome = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
        found.setdefault(case.get("classname"), []).append((case.get("name"), outcome))
    return found


def count(logs):
    cases = cases_of(os.path.join(logs, "testlog.junit.xml"))
    outcomes = []
    with open(os.path.join(logs, "testlog.json"), encoding="utf-8") as f:
        for entry in map(json.loads, filter(str.strip, f)):
            name, well = entry["name"], entry["result"] in ("OK", "SKIP", "EXPECTEDFAIL")
            # "project:suites / name" here, with the project before it there; a subproject's alike.
            project = name.partition(":")[0].partition(" / ")[0]
            of_program = cases.get(f"{project}.{name}")
            if of_program is None:  # it has no cases of its own: it is one
                outcomes.append((name, "failed" if not well else "skipped" if entry["result"] == "SKIP" else "passed"))
                continue
            outcomes += [(f"{name}: {case}", outcome) for case, outcome in of_program]
            if not well and all(outcome != "failed" for _, outcome in of_program):
                outcomes.append((name, "failed"))
    return outcomes


def main():
    try:
        outcomes = count(sys.argv[1])
    except (OSError, ValueError, ET.ParseError) as e:
        print(f"no results: {e}", file=sys.stderr)
        outcomes = []
    for name, outcome in outcomes:
        if outcome != "passed":
            print(f"{outcome}: {name}")
    passed, failed = (sum(o == what for _, o in outcomes) for what in ("passed", "failed"))
    if not passed and not failed:
        failed = 1  # nothing ran, which is no success
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
