#!/usr/bin/env python3
"""The examples of docs/promql-examples.md as a test: its blocks, one after the other, through run_promql; and every
function of promql/functions.def and every aggregator has one.

    run_examples.py RUN_PROMQL SOURCE_ROOT
"""

import os
import re
import subprocess
import sys
import tempfile

AGGREGATORS = """sum avg min max count group stddev stdvar topk bottomk quantile count_values limitk limit_ratio""".split()


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return f.read()


def main():
    program, root = sys.argv[1:]
    blocks = re.findall(r"^```promql\n(.*?)^```", read(root, "docs", "promql-examples.md"), re.S | re.M)
    script = "\n".join(blocks)
    functions = re.findall(r'^FUNCTION\(\w+,\s*"(\w+)"', read(root, "promql", "functions.def"), re.M)
    queries = re.findall(r"^eval instant at \S+ (.*)$", script, re.M)
    missing = [f for f in functions + AGGREGATORS
               if not any(re.search(rf"\b{f}( by| without)? ?\(", q) for q in queries)]
    print(f"# {len(queries)} examples", file=sys.stderr)
    if missing:
        print("1..1\nnot ok 1 - every function has an example\n# none for: " + ", ".join(missing))
        return 1
    with tempfile.NamedTemporaryFile("w", suffix=".test", encoding="utf-8") as f:
        f.write(script)
        f.flush()
        return subprocess.run([program, f.name], check=False).returncode


sys.exit(main())
