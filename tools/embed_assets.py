#!/usr/bin/env python3
"""Writes the C file that puts the built web pages into the binary.

    embed_assets.py OUTPUT FILE...

The assembler copies the bytes (.incbin). What it copies is invisible to Ninja; that the file's hash is in the output
makes the object be built anew when a file changes. A name loses its .gz: that is how browsers ask for it.
"""

import hashlib
import os
import sys

TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".html": "text/html; charset=utf-8", ".svg": "image/svg+xml"}


def main():
    output, files = sys.argv[1], sys.argv[2:]
    asm, declarations, rows = [], [], []
    for i, path in enumerate(files):
        path = os.path.abspath(path)
        name = os.path.basename(path).removesuffix(".gz")
        with open(path, "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        symbol = f"narthex_asset_{i}"
        asm += [f"/* {digest} */",
                f'__asm__(".pushsection .rodata\\n.global {symbol}, {symbol}_end\\n.hidden {symbol}, {symbol}_end\\n"',
                f'        "{symbol}:\\n.incbin \\"{path}\\"\\n{symbol}_end:\\n.byte 0\\n.popsection\\n");']
        declarations.append(f"extern const char {symbol}[], {symbol}_end[];")
        rows.append(f'    {{"{name}", "{TYPES[os.path.splitext(name)[1]]}", {symbol}, {symbol}_end}},')
    text = ['#include "web/embedded.h"', "", *asm, "", *declarations, "",
            "const EmbeddedAsset embedded_assets[] = {", *rows, "};",
            "const size_t embedded_assets_n = sizeof(embedded_assets) / sizeof(embedded_assets[0]);", ""]
    with open(output, "w", encoding="utf-8") as f:
        f.write("\n".join(text))


main()
