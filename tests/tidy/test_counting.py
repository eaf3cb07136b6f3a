#!/usr/bin/env python3
"""tools/count_tests.py over runs of Meson that go wrong in each way: the numbers must be honest.

    test_counting.py ROOT
"""

import os
import subprocess
import sys
import tempfile

# Program -> (protocol, source, passed, failed).
PROGRAMS = {
    "good": ("tap", "print('1..2'); print('ok 1 - a'); print('ok 2 - b')", 2, 0),
    "one_bad": ("tap", "print('1..2'); print('ok 1 - a'); print('not ok 2 - b')", 1, 1),
    "dies_midway": ("tap", "import os; print('1..3', flush=True); print('ok 1', flush=True); os.abort()", 1, 1),
    "leaves_some_out": ("tap", "print('1..3'); print('ok 1')", 1, 1),
    "fails_at_its_end": ("tap", "print('1..1'); print('ok 1'); raise SystemExit(23)", 1, 1),
    "skips": ("tap", "print('1..2'); print('ok 1'); print('ok 2 # SKIP not here')", 1, 0),
    "never_ends": ("exitcode", "import time; time.sleep(60)", 0, 1),
    "plain": ("exitcode", "pass", 1, 0),
    "plain_bad": ("exitcode", "raise SystemExit(1)", 0, 1),
}


def run_meson(folder, names):
    """Builds a project with these tests, runs it, and gives what count_tests.py says: (last line, exit code)."""
    os.makedirs(folder)
    with open(os.path.join(folder, "meson.build"), "w") as f:
        f.write("project('counted')\npy = find_program('python3')\n")
        for name in names:
            protocol, source, _, _ = PROGRAMS[name]
            with open(os.path.join(folder, name + ".py"), "w") as script:
                script.write(source + "\n")
            f.write(f"test('a/{name}', py, args: files('{name}.py'), protocol: '{protocol}', suite: ['x', 'y'], "
                    f"timeout: {2 if name == 'never_ends' else 30})\n")
    build = os.path.join(folder, "build")
    subprocess.run(["meson", "setup", build, folder], check=True, capture_output=True)
    subprocess.run(["meson", "test", "-C", build, "--no-rebuild"], capture_output=True)
    r = subprocess.run([sys.executable, os.path.join(sys.argv[1], "tools/count_tests.py"),
                        os.path.join(build, "meson-logs")], capture_output=True, text=True)
    return r.stdout.splitlines()[-1], r.returncode


def main():
    runs = [["good"], ["dies_midway"], ["never_ends"], list(PROGRAMS), []]
    print(f"1..{len(runs)}")
    failed = False
    with tempfile.TemporaryDirectory(prefix="narthex-counting-") as folder:
        for number, names in enumerate(runs, 1):
            good, bad = (sum(PROGRAMS[n][i] for n in names) for i in (2, 3))
            bad = bad if names else 1  # nothing ran
            want = (f"{good} passed, {bad} failed", 1 if bad else 0)
            got = run_meson(os.path.join(folder, str(number)), names)
            if got != want:
                failed = True
                print(f"# got {got}, want {want}", file=sys.stderr)
            print("ok" if got == want else "not ok", number, "-", " and ".join(names) or "no tests", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
