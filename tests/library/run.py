#!/usr/bin/env python3
"""The built libraries themselves: what they export, name themselves, need, and weigh; and texts that must agree with the tree."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import closing  # noqa: E402
import documents  # noqa: E402
from conformance import every_id_is_a_row_and_every_row_is_tested  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SO = ROOT / "target/release/libopamp.so"
ARCHIVE = ROOT / "target/release/libopamp.a"
HEADER = ROOT / "include/opamp.h"
MAX_STRIPPED = 2 * 1024 * 1024
# The C library's own, and the unwinder.
NEEDED = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libc.musl-x86_64.so.1",
          "libpthread.so.0", "libdl.so.2", "librt.so.1"}


def output(*command):
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=True, capture_output=True, text=True).stdout


def declared():
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", HEADER.read_text(encoding="utf-8"), flags=re.S)
    return set(re.findall(r"\b(opamp_[a-z0-9_]+)\s*\((?!\s*\*)", text)) - set(re.findall(r"\(\s*\*\s*(opamp_[a-z0-9_]+)", text))


def soversion():
    return re.search(r"^SOVERSION := (\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M).group(1)


def exports_exactly_the_header():
    """Each name with its version, which a symbol of its own stands for."""
    node = f"OPAMP_{soversion()}"
    said = set(re.findall(r"^\S+ [A-Z] (\S+)$", output("nm", "-D", "--defined-only", str(SO)), re.M)) - {node}
    exported = {name.split("@@")[0] for name in said}
    wanted = declared()
    assert exported == wanted, f"exported but not declared: {sorted(exported - wanted)}; declared but not exported: {sorted(wanted - exported)}"
    assert said == {f"{name}@@{node}" for name in wanted}, sorted(said)
    return f"{len(exported)} symbols, as declared, all of version {node}"


def archive_is_one_object_with_hidden_names():
    assert output("ar", "t", str(ARCHIVE)).split() == ["libopamp.o"]
    symbols = re.findall(r"\b(GLOBAL|WEAK) +(\S+) +(\S+) +(\S+)$", output("readelf", "-sW", str(ARCHIVE)), re.M)
    defined = {(name, visibility) for _, visibility, section, name in symbols if section != "UND"}
    assert defined == {(name, "HIDDEN") for name in declared()}, sorted(defined)
    return f"libopamp.a is one object; its {len(defined)} names are hidden"


def names_no_folder_of_this_machine():
    """The same bytes come from every folder."""
    folders = [str(ROOT), os.environ.get("CARGO_HOME") or str(pathlib.Path.home() / ".cargo"),
               output("rustc", "--print", "sysroot").strip()]
    for path in (SO, ARCHIVE):
        found = [folder for folder in folders if folder.encode() in path.read_bytes()]
        assert not found, f"{path.name} names {', '.join(found)}"
    return "the libraries name no folder of the machine that built them"


def nothing_is_linked_twice():
    def state():
        return [(path.stat().st_ino, path.stat().st_mtime_ns) for path in (SO, ARCHIVE)]

    before = state()
    output("make", "--no-print-directory", "lib")
    assert state() == before, "make lib linked again what was fresh"
    return "what is fresh is not linked again"


def has_its_soname_and_stays_mapped():
    text = output("readelf", "-dW", str(SO))
    assert f"Library soname: [libopamp.so.{soversion()}]" in text, text
    assert "NODELETE" in text, text
    assert " NOW" in text and "GNU_RELRO" in output("readelf", "-lW", str(SO)), text
    stray = set(re.findall(r"Shared library: \[(.*?)\]", text)) - NEEDED
    assert not stray, f"needs {stray}"
    return f"libopamp.so.{soversion()}, nodelete, needs only the C library"


def is_small():
    with tempfile.TemporaryDirectory() as folder:
        stripped = pathlib.Path(folder) / "libopamp.so"
        shutil.copy(SO, stripped)
        output("strip", str(stripped))
        size = stripped.stat().st_size
    assert size <= MAX_STRIPPED, f"{size} bytes stripped, more than {MAX_STRIPPED}"
    return f"{size / 2**20:.2f} MiB stripped, at most 2.00"


def readme_shows_the_minimal_examples():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = {"c": "examples-c/minimal.c", "python": "python/examples/minimal.py"}
    for language, file in pages.items():
        minimal = (ROOT / file).read_text(encoding="utf-8")
        assert f"```{language}\n{minimal}```\n" in readme, f"README.md does not show {file} as it is"
    return f"README.md shows {' and '.join(pages.values())}"


def documents_name_files_that_exist():
    missing = []
    documents = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
    documents += [str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")]
    for name in documents:
        text = (ROOT / name).read_text(encoding="utf-8")
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
        missing += [f"{name}: {link}" for link in links if not ((ROOT / name).parent / link).exists()]
    assert not missing, f"links to nothing: {missing}"
    return "every link in the documents leads to a file"


def promises_name_tests_that_exist():
    """Each promise of SECURITY.md says what holds it: a test of Rust or Python, or a C program."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    promises = re.search(r"^## What the library holds against.*?(?=^## (?!What it holds))", text, re.M | re.S).group()
    paragraphs = [part for part in re.split(r"\n\n|\n(?=- )", promises) if part.startswith(("- ", "A panic"))]
    named = [re.findall(r"`([^`]+)`", part.partition("Held by ")[2]) for part in paragraphs]
    bare = [part[:60] for part, names in zip(paragraphs, named) if not names]
    assert len(paragraphs) > 10 and not bare, f"no test is named for: {bare}"
    known = {file.name for folder in ("c", "guest") for file in (ROOT / "tests" / folder).glob("*.c")}
    for folder in ("src", "tests", "python/tests"):
        for file in (ROOT / folder).rglob("*.*"):
            if file.suffix == ".rs":
                known.update(re.findall(r"#\[test\]\n(?:\s*#\[.*\n)*\s*fn (\w+)\(", file.read_text(encoding="utf-8")))
            elif file.suffix == ".py":
                known.update(re.findall(r"^\s+def (test_\w+)\(", file.read_text(encoding="utf-8"), re.M))
    stray = sorted({name for names in named for name in names} - known)
    assert not stray, f"SECURITY.md names tests that are not there: {stray}"
    return f"{len(paragraphs)} promises of SECURITY.md, {sum(map(len, named))} tests that hold them"


def what_is_missing_is_named_in_one_line():
    """Given a PATH without one of the tools that a build needs, every target names it and goes no further."""
    needed = {"python3": "Python 3.8 or newer (python3)", "cc": "a C compiler with its C library's headers (cc)",
              "cargo": "a Rust toolchain of at least 1.85 (cargo, rustc)", "rustc": "a Rust toolchain of at least 1.85 (cargo, rustc)",
              "objcopy": "binutils: objcopy", "ar": "binutils: ar"}
    found = {}
    for folder in os.environ["PATH"].split(os.pathsep):
        if os.path.isdir(folder):
            found = {**{name: os.path.join(folder, name) for name in os.listdir(folder)}, **found}
    # What an outer make says of itself, and other names for these tools, stay out.
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("CC", "PYTHON", "CARGO", "LD", "OBJCOPY", "AR") and not name.startswith(("MAKE", "MFLAGS"))}
    with tempfile.TemporaryDirectory() as path:
        for name, target in found.items():
            os.symlink(target, os.path.join(path, name))
        for name, text in needed.items():
            link = os.path.join(path, name)
            os.rename(link, link + ".away")
            for target in ("all", "demo", "test", "devserver", "wheel"):
                done = subprocess.run(["make", "--no-print-directory", target], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                                      text=True, env={**environment, "PATH": path})
                said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make: ")]
                assert done.returncode != 0 and said == [f"libopamp: missing on this machine: {text}"], f"{target} without {name}: {said}"
            os.rename(link + ".away", link)
    return "a tool that is missing is named in one line"


CHECKS = [exports_exactly_the_header, archive_is_one_object_with_hidden_names, names_no_folder_of_this_machine,
          nothing_is_linked_twice, has_its_soname_and_stays_mapped, is_small, readme_shows_the_minimal_examples,
          documents_name_files_that_exist, promises_name_tests_that_exist,
          documents.readme_lists_the_capabilities_that_can_be_declared,
          documents.readme_lists_the_schemes_that_are_accepted,
          documents.readme_lists_the_languages_that_are_tested,
          documents.architecture_names_the_files_that_are_there,
          documents.architecture_names_the_circles_that_are_there,
          every_id_is_a_row_and_every_row_is_tested, what_is_missing_is_named_in_one_line]


def main():
    lacking = [tool for tool in ("ar", "nm", "readelf", "strip") if shutil.which(tool) is None]
    if lacking:
        print(f"skipped: library (no {', '.join(lacking)})")
        return 0
    failures = []
    for check in CHECKS:
        try:
            print(f"ok: {check()}")
        except AssertionError as why:
            failures.append(f"FAILED: {check.__name__}: {why}")
            print(failures[-1])
    failed = len(failures)
    closing.say(failures)
    print(f"library: {len(CHECKS) - failed} of {len(CHECKS)} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
