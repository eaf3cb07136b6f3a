#!/usr/bin/env python3
"""House rules that a machine can hold: one TAP case a rule, one line a finding.

    check_house.py ROOT
"""

import os
import re
import shutil
import subprocess
import sys

LINES_MAX = 900
TOP = ("include", "src", "tsdb", "promql", "rules", "tools", "tests")
CODE = (".c", ".h", ".cc", ".def")
TEXT = CODE + (".py", ".build", ".txt", ".md", ".yml", ".json", ".sh")

# Split, so that this file passes its own rules.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "st" + "ub(s|bed)?")) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.<}/-])/(" + "|".join(("wo" + "rk", "ro" + "ot", "ho" + "me", "Use" + "rs")) + r")/\w")


def files(root, endings, tops=TOP):
    for top in tops:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = [f for f in folders if f != "node_modules"]  # other projects' files, not in the repository
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(folder, name), root)


def texts(root):
    """Everything that people read: sources, tests, documents, and scripts without an ending."""
    yield from files(root, TEXT, TOP + ("docs",))
    for folder in (".", ".ci", "tools"):
        for name in sorted(os.listdir(os.path.join(root, folder))):
            path = os.path.normpath(os.path.join(folder, name))
            plain = "." not in name or folder == "." and name.endswith(TEXT)
            if plain and name != "LICENSE" and os.path.isfile(os.path.join(root, path)):
                yield path


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def clang_format():
    """Version 14, which is what the files are formatted with: others differ in details."""
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path and " 14." in subprocess.run([path, "--version"], capture_output=True, text=True).stdout:
            return path
    return None


def formatted(root):
    program = clang_format()
    if program is None:
        return ["clang-format 14 is not installed (tools/install-packages test)"]
    found = []
    paths = list(files(root, (".c", ".h")))
    for i in range(0, len(paths), 50):
        r = subprocess.run([program, "--dry-run", "--ferror-limit=1", *paths[i:i + 50]], cwd=root,
                           capture_output=True, text=True)
        found += re.findall(r"^(\S+?:\d+):\d+: .*clang-format-violations", r.stderr, re.M)
    return [f"{f}: not as {os.path.basename(program)} -i leaves it" for f in found]


def nothing_unfinished(root):
    return [f"{path}:{number}: {m.group()}" for path in texts(root)
            for number, line in enumerate(read(root, path).split("\n"), 1)
            for m in UNFINISHED.finditer(line)]


def no_machine_paths(root):
    return [f"{path}:{number}: {line.strip()[:90]}" for path in texts(root)
            for number, line in enumerate(read(root, path).split("\n"), 1) if MACHINE_PATH.search(line)]


def every_source_is_built(root):
    """A .c or .cc file is named by a meson.build of its folder or one above; tests by their table's key."""
    found = []
    for path in files(root, (".c", ".cc")):
        folder, name = os.path.split(path)
        stem = os.path.splitext(name)[0]
        keys = {name, re.sub(r"^(test|fuzz|bench)_", "", stem), stem}
        listed = False
        while folder and not listed:
            build = os.path.join(folder, "meson.build")
            if os.path.exists(os.path.join(root, build)):
                listed = any(re.search(r"['/]" + re.escape(k) + "'", read(root, build)) for k in keys)
            folder = os.path.dirname(folder)
        if not listed:
            found.append(f"{path}: in no meson.build")
    return found


def files_stay_readable(root):
    lengths = [(path, read(root, path).count("\n")) for path in files(root, CODE + (".py",))]
    return [f"{path}: {n} lines, {LINES_MAX} are the most" for path, n in lengths if n > LINES_MAX]


def lock_files_name_no_host(root):
    """npm writes the address of the registry it asked, which is a matter of the machine."""
    return [f"{path}: names where a package came from" for path in files(root, ("package-lock.json",))
            if '"resolved"' in read(root, path) or "://" in re.sub(r'"(url|funding)": ?"[^"]*"', "", read(root, path))]


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    rules = (formatted, nothing_unfinished, no_machine_paths, every_source_is_built, files_stay_readable,
             lock_files_name_no_host)
    print(f"1..{len(rules)}")
    failed = False
    for number, rule in enumerate(rules, 1):
        found = rule(root)
        if len(list(files(root, (".c",)))) < 20:
            found.append("no sources here")
        for f in found:
            print("#", f)
        print("not ok" if found else "ok", number, "-", rule.__name__.replace("_", " "))
        failed |= bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
