#!/usr/bin/env python3
"""Fills a template of this folder: every @KEY@ gets its value from KEY=VALUE arguments.

usage: fill.py TEMPLATE OUTPUT KEY=VALUE...

Some values are worked out here, since a Makefile can not: folders as the .pc files write them, and as seen from the CMake
folder (an installed tree may then be moved as a whole), lists in CMake's spelling, and the size of a pointer, which LIBRARY
tells.
"""
import os
import re
import sys


def under_prefix(folder, prefix):
    """${prefix}/lib, so that pkg-config --define-prefix finds a tree that was moved."""
    inside = os.path.relpath(folder, prefix)
    return folder if inside.split(os.sep)[0] == os.pardir else os.path.normpath(f"${{prefix}}/{inside}")


def main(template, output, *pairs):
    values = dict(pair.split("=", 1) for pair in pairs)
    cmake_folder = os.path.join(values["LIBDIR"], "cmake", "opamp")
    values["LIB_FROM_CMAKE"] = os.path.relpath(values["LIBDIR"], cmake_folder)
    values["INCLUDE_FROM_CMAKE"] = os.path.relpath(values["INCLUDEDIR"], cmake_folder)
    for name in ("LIBDIR", "INCLUDEDIR"):
        values[f"PC_{name}"] = under_prefix(values[name], values["PREFIX"])
    # Every compiler driver brings the unwinder that fits; named, it would be in the way of -static.
    native = [word for word in values["NATIVE_LIBS"].split() if word != "-lgcc_s"]
    values["NATIVE_LIBS"], values["NATIVE_LIBS_CMAKE"] = " ".join(native), ";".join(native)
    with open(values["LIBRARY"], "rb") as library:
        values["POINTER_BYTES"] = {1: "4", 2: "8"}[library.read(5)[4]]  # EI_CLASS of an ELF file
    values["MAJOR"] = values["VERSION"].split(".")[0]

    with open(template, encoding="utf-8") as file:
        text = file.read()
    filled = re.sub(r"@([A-Z_]+)@", lambda match: values[match.group(1)], text)
    with open(output, "w", encoding="utf-8") as file:
        file.write(filled)


if __name__ == "__main__":
    main(*sys.argv[1:])
