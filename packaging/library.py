#!/usr/bin/env python3
"""Makes target/release/libopamp.a and libopamp.so of what cargo builds; `make lib` calls it.

usage: library.py [--cargo CARGO] [--cc CC] [--ld LD] [--objcopy OBJCOPY] [--ar AR]
                  [--ldflags FLAGS] --soversion N

cargo's own archive holds the whole Rust standard library as well: beside another Rust archive it
does not link, and a plugin that embeds it exports everything. So the linker joins it into one
object in which only opamp_* is global. Both libraries come of that object: the shared one, whose
symbols have a version, and the archive, in which the names are hidden, too (what embeds it neither
exports them nor has them taken over by another copy), and which keeps a plugin mapped (pin.c).

Nothing is linked again while nothing has changed, and each file comes into its place whole.
"""
import argparse
import fcntl
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
HERE = ROOT / "packaging"
RELEASE = ROOT / "target/release"
OBJECT = RELEASE / "libopamp.o"
NATIVE = RELEASE / "native-static-libs.txt"
# The standard library's bitcode, which binutils can not read, and our list of names.
DROP = "SECTIONS { /DISCARD/ : { *(.llvmbc) *(.llvmcmd) *(.opamp.names) } }\n"
LINK = ["-Wl,-O1", "-Wl,--as-needed", "-Wl,--gc-sections", "-Wl,--no-undefined",
        "-Wl,--build-id=sha1", "-Wl,-z,relro,-z,now,-z,nodelete"]


def run(command, **more):
    """Where it fails, that is all there is to say."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{shlex.join(words)}: status {done.returncode}")
    return done.stdout


def exported_names():
    header = (ROOT / "include/opamp.ffi.h").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"\b(opamp_[a-z0-9_]+)\s*\(", header)))


# --- cargo ---

def rustc(*arguments):
    return run([os.environ.get("RUSTC", "rustc"), *arguments])


def build_paths(about):
    """What stands for the folders of this machine in debug information and panics: [(from, to)]."""
    cargo_home = pathlib.Path(os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo")
    commit = re.search(r"^commit-hash: (\S+)", about, re.M)
    sources = pathlib.Path(rustc("--print", "sysroot").strip()) / "lib/rustlib/src/rust"
    return [(ROOT, "."), (ROOT / "vendor", "vendor"), (cargo_home / "registry/src", "vendor"),
            (sources, f"/rustc/{commit.group(1) if commit else ''}")]


def cargo_flags(about):
    """(arguments, environment) that trim paths from Rust and from the C and assembly of its crates:
    every folder gives the same bytes. Flags of whoever builds stay."""
    paths = build_paths(about)
    remap = [f"--remap-path-prefix={old}={new}" for old, new in paths]
    env, arguments = {**os.environ, "CARGO_TARGET_DIR": str(ROOT / "target")}, []
    encoded, plain = env.pop("CARGO_ENCODED_RUSTFLAGS", ""), env.pop("RUSTFLAGS", "")
    given = encoded.split("\x1f") if encoded else plain.split()
    if given:
        env["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(given + remap)
    else:  # beside those of a configuration file, which the environment's would replace
        arguments = ["--config", f"build.rustflags={json.dumps(remap)}"]
    maps = [f"-ffile-prefix-map={old}={new}" for old, new in paths]
    if any(shlex.quote(word) != word for word in maps):
        env["CC_SHELL_ESCAPED_FLAGS"] = "1"
    env["CFLAGS"] = f"{env.get('CFLAGS', '')} {shlex.join(maps)}".strip()
    return arguments, env


def cargo_archive(cargo):
    """The archive that cargo makes, which knows what is fresh. With a target named, cargo puts it
    where nothing of ours lies, and the flags are not for build scripts and macros."""
    about = rustc("-vV")
    host = re.search(r"^host: (\S+)", about, re.M).group(1)
    target = os.environ.get("CARGO_BUILD_TARGET") or host
    folder = ROOT / "target" / target / "release"
    if not NATIVE.exists():  # rustc says it only while it compiles
        for made in folder.glob("deps/libopamp*.a"):
            made.unlink()
    arguments, env = cargo_flags(about)
    command = [*shlex.split(cargo), "rustc", *arguments, "--locked", "--release",
               "--target", target, "-p", "libopamp", "--lib", "--crate-type", "staticlib",
               "--", "--print", f"native-static-libs={NATIVE}"]
    status = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode
    if status:
        sys.exit(status)
    return folder / "libopamp.a"


# --- one object ---

def names_object(options, folder, visibility):
    """An object that asks for every exported name, so that the linker takes it in; may hide it."""
    names = exported_names()
    hidden = ' __attribute__((visibility("hidden")))' if visibility == "hidden" else ""
    lines = [f"extern const char {name}[]{hidden};" for name in names]
    lines += ['__attribute__((section(".opamp.names"), used)) static const char *const names[] = {',
              *[f"  {name}," for name in names], "};\n"]
    return compiled(options, folder, f"{visibility}.c", "\n".join(lines))


def compiled(options, folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    run([*shlex.split(options.cc), "-O2", "-fPIC", "-ffunction-sections", "-fno-lto", "-c", name,
         "-o", f"{name}.o"], cwd=folder)
    return f"{name}.o"


def joined(options, folder, output, *inputs):
    (folder / "drop.ld").write_text(DROP, encoding="utf-8")
    # Never with --gc-sections, which takes .eh_frame away without a word.
    run([*shlex.split(options.ld), "-r", "--force-group-allocation", "-T", "drop.ld", *inputs, "-o",
         output], cwd=folder)
    return folder / output


def one_object(options, archive, folder):
    made = joined(options, folder, "opamp.o", names_object(options, folder, "default"), archive)
    run([*shlex.split(options.objcopy), "--wildcard", "--keep-global-symbol=opamp_*", made])
    return made


def static_library(options, made, folder):
    pin = compiled(options, folder, "pin.c", (HERE / "pin.c").read_text(encoding="utf-8"))
    hidden = names_object(options, folder, "hidden")
    joined(options, folder, "libopamp.o", hidden, pin, made)
    run([*shlex.split(options.ar), "rcsD", "libopamp.a", "libopamp.o"], cwd=folder)
    return folder / "libopamp.a"


def shared_library(made, folder, cc, soversion, libraries):
    """Linked by any compiler driver: that of the wheel knows an older C library."""
    versions = f"OPAMP_{soversion} {{ global: opamp_*; local: *; }};\n"
    (folder / "libopamp.map").write_text(versions, encoding="utf-8")
    run([*cc, "-shared", made, "-o", "libopamp.so", f"-Wl,-soname,libopamp.so.{soversion}",
         "-Wl,--version-script=libopamp.map", *LINK, *libraries], cwd=folder)
    return folder / "libopamp.so"


KNOWS_RELR = """#include <features.h>
#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 36)
yes
#endif
#endif
"""


def relocations(options, folder):
    """Relative relocations in their compact form (DT_RELR): 60 KiB less to read at each start.
    glibc loads them from 2.36 on; an older one gets the long form."""
    (folder / "relr.c").write_text(KNOWS_RELR, encoding="utf-8")
    said = run([*shlex.split(options.cc), "-E", "-P", "relr.c"], cwd=folder)
    return ["-Wl,-z,pack-relative-relocs"] if "yes" in said.split() else []


# --- what is fresh ---

def state_of(*paths):
    found = [path.stat() if path.exists() else None for path in paths]
    return [[at.st_size, at.st_mtime_ns, at.st_ino] if at else None for at in found]


def linked(options, archive):
    """Links what is older than its parts."""
    outputs = [OBJECT, RELEASE / "libopamp.a", RELEASE / "libopamp.so"]
    record = RELEASE / "libopamp.json"
    parts = [vars(options), exported_names(),
             state_of(archive, pathlib.Path(__file__).resolve(), HERE / "pin.c")]
    if record.exists() and json.loads(record.read_text()) == [parts, state_of(*outputs)]:
        return
    with tempfile.TemporaryDirectory(dir=RELEASE) as name:
        folder = pathlib.Path(name)
        made = one_object(options, archive, folder)
        libraries = NATIVE.read_text(encoding="utf-8").split()
        shared = shared_library(made, folder, shlex.split(options.cc), options.soversion,
                                [*relocations(options, folder),
                                 *shlex.split(options.ldflags), *libraries])
        static = static_library(options, made, folder)
        for path, place in zip([made, static, shared], outputs):
            os.replace(path, place)
    name = RELEASE / f"libopamp.so.{options.soversion}"
    if not name.is_symlink():
        name.unlink(missing_ok=True)
        name.symlink_to("libopamp.so")
    record.write_text(json.dumps([parts, state_of(*outputs)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for tool in ("cargo", "cc", "ld", "objcopy", "ar"):
        parser.add_argument(f"--{tool}", default=tool)
    parser.add_argument("--ldflags", default="", help="for the shared library")
    parser.add_argument("--soversion", required=True)
    options = parser.parse_args()
    RELEASE.mkdir(parents=True, exist_ok=True)
    with open(RELEASE / "libopamp.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        linked(options, cargo_archive(options.cargo))


if __name__ == "__main__":
    main()
