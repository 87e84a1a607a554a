#!/usr/bin/env python3
"""Makes the Python wheels in build/wheels: libopamp with the library, libopamp without it for every other platform, and
libopamp-devserver; and has auditwheel say which glibc they ask for. `make wheel` calls it.

Both are made against glibc 2.17's symbols, so that one wheel serves every Linux with glibc since 2014: the library by linking the
object of `make lib` once more (zig), the server by a build of its own (cargo-zigbuild). The tools are those of wheel-tools.txt, in an
environment of their own.
"""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

import library

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOOLS = ROOT / "build/wheel-tools"
PINNED = ROOT / "packaging/wheel-tools.txt"
STAGE = ROOT / "build/wheel-stage"
WHEELS = ROOT / "build/wheels"
GLIBC = "2.17"
PLATFORM = f"manylinux_{GLIBC.replace('.', '_')}_{platform.machine()}"
TARGET = f"{platform.machine()}-unknown-linux-gnu"


def run(*command, cwd=ROOT, **env):
    """Its output; where it fails, that is all there is to say."""
    words = [str(word) for word in command]
    env = {**os.environ, "PATH": f"{TOOLS / 'bin'}:{os.environ['PATH']}", "CARGO_TARGET_DIR": str(ROOT / "target"), **env}
    done = subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(words)}: status {done.returncode}")
    return done.stdout


def check_machine():
    missing = []
    if platform.machine() not in ("x86_64", "aarch64") or platform.libc_ver()[0] != "glibc":
        missing.append(f"a machine with glibc on x86_64 or aarch64 (this one is {platform.machine()}, {platform.libc_ver()[0] or 'no glibc'})")
    if shutil.which("strip") is None:
        missing.append("strip (binutils)")
    for module in ("venv", "ensurepip"):
        if subprocess.run([sys.executable, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode:
            missing.append(f"Python's module {module}")
    if missing:
        sys.exit(f"libopamp: missing on this machine for wheels: {', '.join(missing)}")


def prepare_tools():
    """Anew when the list of tools has changed."""
    stamp = TOOLS / "wheel-tools.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == PINNED.read_text(encoding="utf-8"):
        return
    shutil.rmtree(TOOLS, ignore_errors=True)
    run(sys.executable, "-m", "venv", TOOLS)
    run(TOOLS / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "-r", PINNED)
    shutil.copy(PINNED, stamp)


def linked():
    """The library; with libgcc_s of 2014 it could not be sure of an unwinder, so it has zig's."""
    zig = [TOOLS / "bin/python", "-m", "ziglang", "cc", "-target", f"{platform.machine()}-linux-gnu.{GLIBC}"]
    native = library.NATIVE.read_text(encoding="utf-8").split()
    soversion = re.search(r"^SOVERSION := (\d+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M).group(1)
    with tempfile.TemporaryDirectory(dir=STAGE) as folder:
        made = library.shared_library(library.OBJECT, pathlib.Path(folder), zig, soversion,
                                      ["-lunwind" if word == "-lgcc_s" else word for word in native])
        run("strip", "-o", STAGE / "libopamp.so", made)
    return STAGE / "libopamp.so"


def built(what, name, *command):
    """Builds against the old glibc; the stripped file."""
    run("cargo-zigbuild", *command, "--locked", "--target", f"{TARGET}.{GLIBC}")
    run("strip", "-o", STAGE / name, ROOT / "target" / TARGET / what / name)
    return STAGE / name


def wheel(folder, **env):
    run(TOOLS / "bin/hatchling", "build", "-t", "wheel", "-d", WHEELS, cwd=ROOT / folder, **env)


def main():
    check_machine()
    prepare_tools()
    for folder in (STAGE, WHEELS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    so = linked()
    devserver = built("tools", "opamp-devserver", "build", "--profile", "tools", "-p", "opamp-devserver")
    run(sys.executable, "tests/licences/third_party.py", "--devserver", STAGE / "THIRD-PARTY")
    wheel("python")
    wheel("python", OPAMP_WHEEL_LIBRARY=str(so), OPAMP_WHEEL_PLATFORM=PLATFORM)
    wheel("devserver", OPAMP_WHEEL_DEVSERVER=str(devserver), OPAMP_WHEEL_THIRD_PARTY=str(STAGE / "THIRD-PARTY"), OPAMP_WHEEL_PLATFORM=PLATFORM)
    for made in sorted(WHEELS.glob("*.whl")):
        if PLATFORM in made.name and PLATFORM not in run("auditwheel", "show", made):
            sys.exit(f"{made.name} asks for more than it says:\n{run('auditwheel', 'show', made)}")
        print(f"{made.relative_to(ROOT)}, {made.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
