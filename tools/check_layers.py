#!/usr/bin/env python3
"""Holds the picture of docs/architecture.md: an include that points up or sideways is a failure.

    check_layers.py ROOT

Every folder with code belongs to a module; a module may include itself, modules of lower layers, and those
named for it in SAME_LAYER. Foreign headers may be included in the files of DOORS only. Prints TAP.
"""

import os
import re
import sys

# Module -> layer. The longest prefix of a file's path decides.
LAYERS = {
    "src/base": 0,
    "src/model": 1, "src/format": 1, "src/loop": 1,
    "src/storage": 2, "src/schema": 2, "src/net": 2,
    "tsdb": 3, "promql": 3,
    "src/discovery": 4, "src/scrape": 4, "src/remote": 4, "rules": 4,
    "src/config": 5, "src/web": 5, "src/api": 5,
    "src/server": 6, "tools": 6, "tests": 6,
}

# What a module may include of its own layer, and why.
SAME_LAYER = {
    "src/model": {"src/format"},       # one of the exposition formats is protobuf
    "src/net": {"src/schema"},         # the http client block of the configuration is a schema
    "src/scrape": {"src/discovery"},   # targets come from discovery
    "rules": {"src/discovery"},        # so do Alertmanagers
    "src/api": {"src/config", "src/web"},
}

# Foreign header -> the one place (file or folder) that includes it.
DOORS = {
    r"uv\.h": ["src/loop", "src/net"],
    r"llhttp\.h": ["src/net"],
    r"curl/.*": ["src/net"],
    r"lmdb\.h": ["src/storage"],
    r"snappy-c\.h": ["src/format"],
    r"zlib\.h": ["src/format", "tools/bench"],  # the load generator is a program of its own
    r"zstd\.h": ["src/format"],
    r"yaml\.h": ["src/schema"],
    r"jansson\.h": ["src/format"],
    r"re2/.*": ["src/base/cxx"],
    r"xxhash\.h": ["src/base"],
    r"crypt\.h": ["src/net"],
    r"openssl/.*": ["src/model", "src/net"],
}


def module_of(path):
    best = ""
    for name in LAYERS:
        if (path == name or path.startswith(name + "/")) and len(name) > len(best):
            best = name
    return best or None


def resolve(root, include, here):
    """The repository path an #include "..." means, in the order of the compiler's search path."""
    for base in (here, "include", "src", ".", "tests", "tools"):
        path = os.path.normpath(os.path.join(base, include))
        if os.path.exists(os.path.join(root, path)):
            return path
    return None


def owner(path):
    """include/<module>/x.h belongs to that module, wherever its sources are."""
    if path.startswith("include/"):
        name = path.split("/")[1]
        return module_of("src/" + name) or module_of(name)
    return module_of(path)


def sources(root):
    for top in ("include", "src", "tsdb", "promql", "rules", "tools", "tests"):
        for folder, _, files in os.walk(os.path.join(root, top)):
            for name in files:
                if name.endswith((".c", ".h", ".cc", ".def")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def check_file(root, path):
    mine = owner(path)
    if mine is None:
        return [f"{path}: belongs to no module of tools/check_layers.py"]
    found = []
    with open(os.path.join(root, path), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            m = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
            if not m:
                continue
            kind, name = m.groups()
            where = f"{path}:{number}"
            if kind == '"':
                target = resolve(root, name, os.path.dirname(path))
                if target is None:
                    found.append(f"{where}: no file for \"{name}\"")
                    continue
                other = owner(target)
                allowed = other == mine or LAYERS[other] < LAYERS[mine] or other in SAME_LAYER.get(mine, ())
                if not allowed and not mine.startswith("tests"):
                    found.append(f"{where}: {mine} (layer {LAYERS[mine]}) includes {target} of {other} "
                                 f"(layer {LAYERS[other]})")
            else:
                for pattern, doors in DOORS.items():
                    inside = any(path == d or path.startswith(d + "/") for d in doors)
                    if re.fullmatch(pattern, name) and not inside:
                        found.append(f"{where}: <{name}> is included only in {', '.join(doors)}")
    return found


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    paths = sorted(sources(root))
    problems = [p for path in paths for p in check_file(root, path)]
    print("1..1")
    for p in problems:
        print("#", p)
    print("not ok 1" if problems or len(paths) < 20 else "ok 1", "- includes point down")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
