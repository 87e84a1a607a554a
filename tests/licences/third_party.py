#!/usr/bin/env python3
"""THIRD-PARTY: every crate that is really in the library, with version, licence and, where one must go with it, its text.

usage: third_party.py --check | --write | --devserver FILE

What is in the library: its normal dependencies on this target, with the features it asks for. Build scripts, macros and
dependencies of tests and tools are not in it. `--devserver` writes the same of the development server's binary, for its wheel.
"""
import difflib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE = ROOT / "THIRD-PARTY"

# Each of these may be linked into anything, Apache-2.0 included. Another one is a decision, not a side effect of an update.
ACCEPTED = {"Apache-2.0", "MIT", "ISC", "BSD-3-Clause", "0BSD", "Zlib", "Unicode-3.0"}

HEAD = """\
Third-party software in libopamp
================================

libopamp.so and libopamp.a contain these Rust crates. Where a crate offers a choice, it is used under Apache-2.0, whose text
is in LICENSE; the texts of the others follow the table. Both libraries also contain the parts that they use of the Rust
standard library of the toolchain that built them (MIT OR Apache-2.0).

Renewed by `make third-party`; `make test` compares it with Cargo.lock.
"""
DEVSERVER_HEAD = """\
Third-party software in opamp-devserver
=======================================

The program contains these Rust crates. Where a crate offers a choice, it is used under Apache-2.0, whose text is in LICENSE;
the texts of the others follow the table. It also contains the parts that it uses of the Rust standard library of the
toolchain that built it (MIT OR Apache-2.0).
"""


def run(*command):
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def host():
    return re.search(r"^host: (.*)$", run("rustc", "-vV"), re.M).group(1)


def crates_in(package):
    """(name, version) of each, in order of name."""
    tree = run("cargo", "tree", "--locked", "-p", package, "-e", "normal,no-proc-macro", "--target", host(),
               "--prefix", "none", "--format", "{p}")
    found = set(re.findall(r"^(\S+) v(\S+)", tree, re.M))
    return sorted(crate for crate in found if crate[0] != package)


def packages():
    text = run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", host())
    return {(package["name"], package["version"]): package for package in json.loads(text)["packages"]}


def names_in(expression):
    return set(re.split(r"\s+(?:OR|AND)\s+|/|[()]", expression)) - {""}


def is_accepted(expression):
    """Of a choice one is enough; what is demanded together must all be among them."""
    names = names_in(expression)
    return names <= ACCEPTED and bool(names) if " AND " in expression else bool(names & ACCEPTED)


def has_apache_choice(expression):
    return " AND " not in expression and "Apache-2.0" in names_in(expression)


def licence_texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(path for path in folder.iterdir() if re.match(r"(LICEN[CS]E|COPYING)", path.name, re.I))
    if not files:
        sys.exit(f"{package['name']} {package['version']}: no licence text in {folder}")
    return [(path.name, path.read_text(encoding="utf-8").strip()) for path in files]


def whole_text(package, head):
    known = packages()
    crates = [known[crate] for crate in crates_in(package)]
    lines = [head, f"{'crate':<24}{'version':<12}licence", f"{'-' * 22}  {'-' * 10}  {'-' * 30}"]
    for package in crates:
        licence = package["license"] or ""
        if not is_accepted(licence):
            sys.exit(f"{package['name']} {package['version']}: licence \"{licence}\" is not among {sorted(ACCEPTED)}")
        lines.append(f"{package['name']:<24}{package['version']:<12}{licence}")
    for package in crates:
        if has_apache_choice(package["license"]):
            continue
        for name, text in licence_texts(package):
            lines += ["", "", "=" * 80, f"{package['name']} {package['version']}: {name}", "=" * 80, "", text]
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:2] == ["--devserver"] and len(sys.argv) == 3:
        pathlib.Path(sys.argv[2]).write_text(whole_text("opamp-devserver", DEVSERVER_HEAD), encoding="utf-8")
        return
    wanted = whole_text("libopamp", HEAD)
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(wanted, encoding="utf-8")
        return
    if sys.argv[1:] != ["--check"]:
        sys.exit(__doc__)
    committed = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    if committed != wanted:
        diff = difflib.unified_diff(committed.splitlines(), wanted.splitlines(), "THIRD-PARTY", "Cargo.lock says", n=0, lineterm="")
        sys.exit("\n".join(list(diff)[:20]) + "\nTHIRD-PARTY is not what Cargo.lock says: `make third-party` renews it")
    print(f"licences: {len(crates_in('libopamp'))} crates, as THIRD-PARTY says")


if __name__ == "__main__":
    main()
