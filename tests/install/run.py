#!/usr/bin/env python3
"""What `make install` must give: a C program builds and runs against the installed tree through pkg-config, CMake and Go's cgo, shared
and static, with every compiler, linker and way of linking that is here, beside another Rust archive; a plugin that embeds the archive
keeps to itself and is loaded, used and unloaded 1,000 times; `make uninstall` leaves nothing of ours."""
import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import closing  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/install"
CC = os.environ.get("CC", "cc")
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.M).group(1)


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def make(target, **variables):
    run("make", "--no-print-directory", target, *[f"{name}={value}" for name, value in variables.items()])


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def prints_version(program, **environment):
    said = run(program, env={**os.environ, **environment}).strip()
    assert said == VERSION, f"{program} says {said}"


def staged_tree_is_complete(work):
    """[DESTDIR] Everything lies under DESTDIR, and no file names it."""
    destination = work / "stage"
    make("install", DESTDIR=destination, PREFIX="/opt/opamp", LIBDIR="/opt/opamp/lib64")
    installed = files_in(destination)
    for name in ("include/opamp.h", "include/opamp.ffi.h", f"lib64/libopamp.so.{VERSION}", "lib64/libopamp.so.0", "lib64/libopamp.so",
                 "lib64/libopamp.a", "lib64/pkgconfig/opamp.pc", "lib64/pkgconfig/opamp-static.pc",
                 "lib64/cmake/opamp/opamp-config.cmake", "lib64/cmake/opamp/opamp-config-version.cmake", "share/doc/libopamp/LICENSE"):
        assert f"opt/opamp/{name}" in installed, f"{name} is missing: {installed}"
    lib = destination / "opt/opamp/lib64"
    assert (lib / f"libopamp.so.{VERSION}").stat().st_mode & 0o777 == 0o755
    assert os.readlink(lib / "libopamp.so") == "libopamp.so.0" and os.readlink(lib / "libopamp.so.0") == f"libopamp.so.{VERSION}"
    for text in [lib / "pkgconfig/opamp.pc", lib / "cmake/opamp/opamp-config.cmake"]:
        assert str(destination) not in text.read_text(encoding="utf-8"), f"{text} names DESTDIR"
    make("uninstall", DESTDIR=destination, PREFIX="/opt/opamp", LIBDIR="/opt/opamp/lib64")
    assert files_in(destination) == [], files_in(destination)
    assert not (lib / "cmake/opamp").exists() and not (destination / "opt/opamp/share/doc/libopamp").exists()
    return f"{len(installed)} files under DESTDIR, none after uninstall"


def paths_may_have_spaces(work):
    where = {"DESTDIR": work / "a stage", "PREFIX": "/opt/my opamp", "LIBDIR": "/opt/my opamp/lib 64"}
    make("install", **where)
    text = (work / "a stage/opt/my opamp/lib 64/cmake/opamp/opamp-config-version.cmake").read_text(encoding="utf-8")
    assert f'CMAKE_SIZEOF_VOID_P EQUAL "{struct.calcsize("P")}"' in text, text
    make("uninstall", **where)
    assert files_in(work / "a stage") == [], files_in(work / "a stage")
    prefix = work / "a prefix"
    make("install", PREFIX=prefix)
    program = work / "a program"
    if shutil.which("pkg-config"):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
        flags = shlex.split(run("pkg-config", "--cflags", "--libs", "opamp", env=environment))
        run(CC, *WARNINGS, HERE / "program.c", "-o", program, *flags)
        prints_version(program, LD_LIBRARY_PATH=str(prefix / "lib"))
    make("uninstall", PREFIX=prefix)
    assert files_in(prefix) == [], files_in(prefix)
    return "with spaces in the paths, too"


def relative_paths_are_refused(work):
    for target in ("install", "uninstall"):
        for name in ("PREFIX", "LIBDIR", "INCLUDEDIR"):
            done = subprocess.run(["make", "--no-print-directory", target, f"DESTDIR={work}/none/", f"{name}=out"], cwd=ROOT,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True)
            assert done.returncode != 0 and "libopamp: PREFIX, LIBDIR and INCLUDEDIR are absolute paths" in done.stderr, done
    assert not (work / "none").exists()
    return "a relative path is refused, which the .pc files could not name"


def uninstall_leaves_what_is_not_ours(work):
    prefix = work / "shared-prefix"
    make("install", PREFIX=prefix)
    ours = {prefix / "include/mine.h", prefix / "lib/cmake/opamp/mine.cmake"}
    for path in ours:
        path.write_text("mine\n", encoding="utf-8")
    make("uninstall", PREFIX=prefix)
    assert {prefix / name for name in files_in(prefix)} == ours, files_in(prefix)
    return "uninstall leaves the files of others"


def pkg_config(prefix, *arguments):
    environment = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    return shlex.split(run("pkg-config", *arguments, env=environment))


def private_libraries_are_what_rustc_says(work):
    said = (ROOT / "target/release/native-static-libs.txt").read_text(encoding="utf-8").split()
    # Every compiler driver brings the unwinder; named, it would be in the way of -static.
    said.remove("-lgcc_s")
    for name in ("opamp.pc", "opamp-static.pc"):
        text = (work / "usr/lib/pkgconfig" / name).read_text(encoding="utf-8")
        shape = r"^Libs\.private: (.*)$" if name == "opamp.pc" else r'^Libs: "\$\{libdir\}/libopamp\.a" (.*)$'
        line = re.search(shape, text, re.M)
        assert line and line.group(1).split() == said, f"{name}: {text}, rustc says {said}"
    return f"private libraries: {' '.join(said)}, and no other flag"


def builds_through_pkg_config(work):
    if shutil.which("pkg-config") is None:
        return "skipped: install through pkg-config (no pkg-config)"

    def flags(name):
        return pkg_config(work / "usr", "--cflags", "--libs", name)

    run(CC, *WARNINGS, HERE / "program.c", "-o", work / "shared", *flags("opamp"))
    prints_version(work / "shared", LD_LIBRARY_PATH=str(work / "usr/lib"))
    run(CC, *WARNINGS, HERE / "program.c", "-o", work / "static", *flags("opamp-static"))
    assert "libopamp" not in run("readelf", "-d", work / "static"), "the static program needs the .so"
    prints_version(work / "static")
    run(CC, *WARNINGS, "-fPIC", "-shared", HERE / "plugin.c", "-o", work / "plugin.so", *flags("opamp-static"))
    moved = work / "moved-by-hand"
    shutil.copytree(work / "usr", moved, symlinks=True)
    for name in ("opamp", "opamp-static"):
        found = " ".join(pkg_config(moved, "--define-prefix", "--cflags", "--libs", name))
        assert str(moved / "include") in found and str(moved / "lib") in found and str(work / "usr") not in found, found
    return "pkg-config: shared and static, and a moved tree with --define-prefix"


def builds_through_cmake(work):
    if shutil.which("cmake") is None:
        return "skipped: install through CMake (no cmake)"
    build = work / "cmake"
    run("cmake", "-S", HERE, "-B", build, f"-DCMAKE_PREFIX_PATH={work / 'usr'}", f"-DCMAKE_C_COMPILER={shutil.which(CC)}")
    run("cmake", "--build", build)
    prints_version(build / "shared")
    prints_version(build / "static")
    assert "libopamp" not in run("readelf", "-d", build / "static"), "the static program needs the .so"
    moved = work / "moved"
    shutil.copytree(work / "usr", moved, symlinks=True)
    run("cmake", "-S", HERE, "-B", work / "cmake-moved", f"-DCMAKE_PREFIX_PATH={moved}", f"-DCMAKE_C_COMPILER={shutil.which(CC)}")
    run("cmake", "--build", work / "cmake-moved", "--target", "shared")
    assert str(moved) in run("readelf", "-d", work / "cmake-moved/shared"), "the moved tree is not the one linked"
    return "CMake: shared, static, and from a moved tree"


ASKS = """cmake_minimum_required(VERSION 3.13)
project(asks NONE)
foreach(asked "any" "shared" "static" "shared;static")
  string(REPLACE "any" "" components "${asked}")
  find_package(opamp 0.1 CONFIG QUIET COMPONENTS ${components})
  message(STATUS "asked: ${asked} ${opamp_FOUND}")
endforeach()
foreach(target opamp::opamp opamp::static)
  if(TARGET ${target})
    message(STATUS "target: ${target}")
  endif()
endforeach()
"""
# What is not installed, and which components there are then.
SPLITS = {"none of it": {"shared", "static"}, "libopamp.a": {"shared"}, "libopamp.so": {"shared", "static"}, "libopamp.so*": {"static"},
          "libopamp.*": set(), "../include/opamp.h": set()}


def cmake_finds_what_a_distribution_splits(work):
    if shutil.which("cmake") is None:
        return "skipped: a split installation in CMake (no cmake)"
    (work / "asks").mkdir()
    (work / "asks/CMakeLists.txt").write_text(ASKS, encoding="utf-8")
    for number, (absent, there) in enumerate(SPLITS.items()):
        tree = work / f"split{number}"
        shutil.copytree(work / "usr", tree, symlinks=True)
        for path in tree.glob(f"lib/{absent}"):
            path.unlink()
        said = run("cmake", "-S", work / "asks", "-B", work / f"asks/{number}", f"-DCMAKE_PREFIX_PATH={tree}")
        found = dict(re.findall(r"asked: (\S+) (\S+)", said))
        wanted = {name: bool(there) and set(name.split(";")) - {"any"} <= there for name in ("any", "shared", "static", "shared;static")}
        assert {name: value in ("1", "TRUE") for name, value in found.items()} == wanted, f"without {absent}: {said}"
        targets = set(re.findall(r"target: (\S+)", said))
        assert targets == {{"shared": "opamp::opamp", "static": "opamp::static"}[name] for name in there}, f"without {absent}: {said}"
    return f"CMake: {len(SPLITS)} ways to split an installation"


# Which flags, beside those of opamp-static.pc; a sanitizer's calls are in the program, not in the archive.
WAYS = [[], ["-no-pie"], ["-flto"], ["-static"], ["-static-pie"], ["-O2", "-ffunction-sections", "-Wl,--gc-sections"],
        ["-fsanitize=address"], ["-fsanitize=undefined"], ["-fsanitize=thread"],
        *[[f"-fuse-ld={linker}", "-Wl,--gc-sections"] for linker in ("bfd", "gold", "lld", "mold")]]


def links_in_every_way(work):
    """With each compiler, linker and kind of program that this machine can make at all."""
    if shutil.which("pkg-config") is None:
        return "skipped: ways to link (no pkg-config)"
    flags = pkg_config(work / "usr", "--cflags", "--libs", "opamp-static")
    done, lacking = [], []
    program = work / "way"
    compilers = {os.path.realpath(found): name for name in ("clang", "gcc", CC) if (found := shutil.which(name))}
    for compiler in compilers.values():
        for way in WAYS:
            name = " ".join([compiler, *way])
            probe = subprocess.run([compiler, *way, "-x", "c", "-", "-o", program], input="int main(void) { return 0; }\n", text=True,
                                   capture_output=True)
            if probe.returncode:
                lacking.append(name)
                continue
            said = run(compiler, *WARNINGS, *way, HERE / "program.c", "-o", program, *flags)
            assert "dlopen" not in said, f"{name}: {said}"
            prints_version(program)
            done.append(name)
    if shutil.which("valgrind"):
        run(CC, *WARNINGS, HERE / "program.c", "-o", program, *flags)
        run("valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect", program)
        done.append("valgrind")
    return f"links and runs in {len(done)} ways" + (f" (this machine can not: {', '.join(lacking)})" if lacking else "")


def links_beside_another_rust_archive(work):
    if shutil.which("pkg-config") is None:
        return "skipped: beside another Rust archive (no pkg-config)"
    other = work / "libother.a"
    run("rustc", "--edition", "2024", "--crate-name", "other", "--crate-type", "staticlib", HERE / "rust_beside.rs", "-o", other)
    ours = pkg_config(work / "usr", "--cflags", "--libs", "opamp-static")
    for libraries in ([other, *ours], [*ours, other, "-ldl", "-lpthread", "-lm"]):
        run(CC, *WARNINGS, HERE / "two_archives.c", "-o", work / "two", *libraries)
        prints_version(work / "two")
    return "links and runs beside another Rust archive, in both orders"


GO = """package main

// #cgo pkg-config: PACKAGE
// #include <opamp.h>
import "C"

import "fmt"

func main() {
	fmt.Println(C.GoString(C.opamp_version())) // WORK
}
"""


def go_takes_the_flags(work):
    """cgo lets few flags through. Its cache would let all of them through: the folder's name makes each program a new one."""
    if shutil.which("go") is None or shutil.which("pkg-config") is None:
        return "skipped: Go's cgo (no go or no pkg-config)"
    folder = work / "go"
    folder.mkdir()
    (folder / "go.mod").write_text("module program\n\ngo 1.20\n", encoding="utf-8")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(work / "usr/lib/pkgconfig"), "GOFLAGS": "-mod=mod", "GOPROXY": "off",
                   "GOTOOLCHAIN": "local", "LD_LIBRARY_PATH": str(work / "usr/lib")}
    for package in ("opamp", "opamp-static"):
        (folder / "main.go").write_text(GO.replace("PACKAGE", package).replace("WORK", str(work)), encoding="utf-8")
        run("go", "-C", folder, "build", "-o", "program", env=environment)
        said = run(folder / "program", env=environment).strip()
        assert said == VERSION, said
    return "Go's cgo takes both .pc files"


def readme_says_how_to_link(work):
    """The blocks of README's "In your build", with /opt/opamp somewhere else."""
    if shutil.which("pkg-config") is None or shutil.which("cmake") is None:
        return "skipped: the README's lines to link (no pkg-config or cmake)"
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("### In your build\n")[1].split("\n## ")[0]
    prefix, folder = work / "opt", work / "readme"
    shell, cmake = (re.search(rf"```{language}\n(.*?)```", text, re.S).group(1).replace("/opt/opamp", str(prefix)) for language in ("sh", "cmake"))
    install, *build = shell.splitlines()
    run("sh", "-ec", install)
    folder.mkdir()
    for name in ("minimal.c", "agent.c"):
        shutil.copy(HERE / "program.c", folder / name)
    shutil.copy(HERE / "plugin.c", folder)
    for command in build:
        run("sh", "-ec", f"cd '{folder}'; {build[0]}; {command}")
        if "-o minimal" in command:
            prints_version(folder / "minimal")
    lists = f"cmake_minimum_required(VERSION 3.13)\nproject(readme C)\nadd_executable(agent agent.c)\n{cmake}"
    (folder / "CMakeLists.txt").write_text(lists, encoding="utf-8")
    run("cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={shutil.which(CC)}")
    run("cmake", "--build", folder / "build")
    prints_version(folder / "build/agent")
    return f"{len(build)} lines of README's \"In your build\", and CMake's"


def plugin_keeps_to_itself(work):
    plugins = [path for path in (work / "plugin.so", work / "cmake/libplugin.so") if path.exists()]
    if not plugins:
        return "skipped: a plugin beside the library (neither pkg-config nor cmake built one)"
    libraries = [f"-I{work}/usr/include", f"-L{work}/usr/lib", "-lopamp", f"-Wl,-rpath,{work}/usr/lib", "-ldl"]
    run(CC, *WARNINGS, HERE / "beside.c", "-o", work / "beside", *libraries)
    for plugin in plugins:
        exported = set(re.findall(r" [A-Z] (\S+)$", run("nm", "-D", "--defined-only", plugin), re.M))
        assert exported == {"plugin_run", "plugin_version"}, f"{plugin} exports {sorted(exported)}"
        run(work / "beside", plugin)
    return "a plugin exports nothing of the archive, and keeps to its own copy beside the program's"


def plugin_comes_and_goes(work):
    plugins = [path for path in (work / "plugin.so", work / "cmake/libplugin.so") if path.exists()]
    if not plugins:
        return "skipped: plugin (neither pkg-config nor cmake built one)"
    run(CC, *WARNINGS, HERE / "host.c", "-o", work / "host", "-ldl", "-lpthread")
    said = [run(work / "host", plugin).strip() for plugin in plugins]
    return f"plugin: {said[0]}"


def main():
    failures, skipped = [], 0
    checks = [staged_tree_is_complete, paths_may_have_spaces, relative_paths_are_refused, uninstall_leaves_what_is_not_ours,
              private_libraries_are_what_rustc_says, builds_through_pkg_config, builds_through_cmake,
              cmake_finds_what_a_distribution_splits, readme_says_how_to_link, links_in_every_way, links_beside_another_rust_archive,
              go_takes_the_flags, plugin_keeps_to_itself, plugin_comes_and_goes]
    with tempfile.TemporaryDirectory(prefix="opamp-install-") as folder:
        work = pathlib.Path(folder).resolve()
        make("install", PREFIX=work / "usr")
        for check in checks:
            try:
                said = check(work)
                skipped += said.startswith("skipped:")
                print(said if said.startswith("skipped:") else f"ok: {said}", flush=True)
            except AssertionError as why:
                failures.append(f"FAILED: {check.__name__}: {why}")
                print(failures[-1], flush=True)
    failed = len(failures)
    closing.say(failures)
    print(f"install: {len(checks) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
