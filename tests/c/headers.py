"""The header itself: compiles without a warning in every dialect, loads whole in cffi and LuaJIT, its example compiles, and the ABI
is what tests/c/abi.txt says."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
INCLUDE = ROOT / "include"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-I", str(INCLUDE)]
C = ["c99", "c11", "c17", "c2x"]
CXX = ["c++11", "c++14", "c++17", "c++20"]


def compiled(compiler, dialect, language, text):
    command = [compiler, f"-std={dialect}", "-x", language, "-fsyntax-only", *STRICT, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return done.stderr if done.returncode else None


def dialects():
    for compiler, other in (("cc", "c++"), ("gcc", "g++"), ("clang", "clang++")):
        if shutil.which(compiler) is None or shutil.which(other) is None:
            continue
        for dialect in C:
            yield f"header {compiler} {dialect}", compiled(compiler, dialect, "c", "#include <opamp.h>\n#include <opamp.h>\nint unused;\n")
        for dialect in CXX:
            yield f"header {other} {dialect}", compiled(other, dialect, "c++", "#include <opamp.h>\n#include <opamp.h>\nint unused;\n")


def example():
    """The program at the top of the header."""
    text = (INCLUDE / "opamp.h").read_text(encoding="utf-8")
    lines = re.search(r"^ \*     #include <opamp\.h>.*?^ \*     \}$(?=\n \*\n \* Conventions)", text, re.S | re.M).group(0).splitlines()
    program = "\n".join(line[3:].strip("\n")[4:] for line in lines) + "\n"
    assert "int main(void)" in program
    yield "example at the top, C99", compiled("cc", "c99", "c", program)
    yield "example at the top, C++17", compiled("c++", "c++17", "c++", program)


def example_that_fails():
    """The same program where one of its calls fails: it says why and exits with 1."""
    library = ROOT / "target/release"
    text = re.search(r"^ \*     #include <opamp\.h>.*?^ \*     \}$(?=\n \*\n \* Conventions)", (INCLUDE / "opamp.h").read_text(encoding="utf-8"), re.S | re.M)
    program = "\n".join(line[7:] for line in text.group(0).splitlines()).replace('"http://127.0.0.1:4320', '"127.0.0.1:4320')
    with tempfile.TemporaryDirectory() as folder:
        command = ["cc", "-std=c99", "-I", str(INCLUDE), "-x", "c", "-", "-o", f"{folder}/example", "-L", str(library), "-lopamp", f"-Wl,-rpath,{library}"]
        done = subprocess.run(command, input=program, capture_output=True, text=True)
        if done.returncode == 0:
            done = subprocess.run([f"{folder}/example"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            is_told = done.returncode == 1 and "did you mean http://127.0.0.1:4320/v1/opamp?" in done.stderr
            yield "example at the top says what fails", None if is_told else f"status {done.returncode}: {done.stdout}{done.stderr}"
        else:
            yield "example at the top says what fails", done.stderr


CFFI = "import cffi, sys; f = cffi.FFI(); f.cdef(open(sys.argv[1]).read()); print(len([n for n in f._parser._declarations if n.startswith('function ')]))"
LUA = "local f = require 'ffi'; f.cdef(io.open(arg[1]):read('*a')); assert(f.sizeof('opamp_slice') == 2 * f.sizeof('size_t')); print(f.C.OPAMP_E_STATE)"


def foreign():
    path = str(INCLUDE / "opamp.ffi.h")
    functions = len(set(re.findall(r"\b(opamp_\w+)\(", pathlib.Path(path).read_text(encoding="utf-8"))))
    if subprocess.run([sys.executable, "-c", "import cffi"], capture_output=True).returncode:
        yield "opamp.ffi.h in cffi", "skip: no cffi"
    else:
        done = subprocess.run([sys.executable, "-c", CFFI, path], capture_output=True, text=True)
        whole = done.returncode == 0 and int(done.stdout) == functions
        yield "opamp.ffi.h in cffi", None if whole else f"{done.stdout} of {functions} functions; {done.stderr}"
    if shutil.which("luajit") is None:
        yield "opamp.ffi.h in LuaJIT", "skip: no luajit"
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(LUA)
            script.flush()
            done = subprocess.run(["luajit", script.name, path], capture_output=True, text=True)
        yield "opamp.ffi.h in LuaJIT", None if done.returncode == 0 and done.stdout.strip() == "-2" else done.stdout + done.stderr


def abi_now():
    """Sizes, offsets and constants, as the compiler sees them; functions by name."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", (INCLUDE / "opamp.h").read_text(encoding="utf-8"), flags=re.S)
    constants = sorted(set(re.findall(r"\b(OPAMP_[A-Z0-9_]+) = -?\d+", text)))
    functions = sorted(set(re.findall(r"\b(opamp_[a-z0-9_]+)\(", text)))
    members = re.findall(r"\(\*(on_\w+)\)", text)
    lines = [f'printf("constant {name} %d\\n", (int){name});' for name in constants]
    lines += [f'printf("struct {name} %zu\\n", sizeof({name}));' for name in ("opamp_slice", "opamp_callbacks")]
    lines += [f'printf("member opamp_callbacks.{name} %zu\\n", offsetof(opamp_callbacks, {name}));' for name in ["struct_size", *members]]
    lines += [f'printf("member opamp_slice.{name} %zu\\n", offsetof(opamp_slice, {name}));' for name in ("data", "len")]
    program = "#include <opamp.h>\n#include <stdio.h>\nint main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    with tempfile.TemporaryDirectory() as folder:
        binary = f"{folder}/abi"
        subprocess.run(["cc", "-std=c99", "-I", str(INCLUDE), "-x", "c", "-", "-o", binary], input=program, text=True, check=True)
        said = subprocess.run([binary], capture_output=True, text=True, check=True).stdout
    return said.splitlines() + [f"function {name}" for name in functions]


def abi():
    """Only additions within one SONAME: what abi.txt names is there, with the same numbers. (64-bit)"""
    kept = (HERE / "abi.txt").read_text(encoding="utf-8").splitlines()
    now = set(abi_now())
    grown = {line for line in kept if line.startswith("struct opamp_callbacks ")}
    gone = [line for line in kept if line not in now and line not in grown]
    yield "ABI against abi.txt", f"changed or gone: {gone}" if gone else None


def rows():
    """Every exported symbol has a row in the table of calls, and every row a symbol. [GUEST-03]"""
    library = ROOT / "target/release/libopamp.so"
    if not library.exists():
        yield "exported symbols", f"no {library}; run make"
        return
    done = subprocess.run(["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True)
    # Each with its version, which is a symbol as well.
    exported = {name.split("@@")[0] for name in re.findall(r" (?!OPAMP_\d+$)(\S+)$", done.stdout, re.M)}
    listed = set(re.findall(r'"(opamp_[a-z0-9_]+)"', (ROOT / "src/ffi/calls.rs").read_text(encoding="utf-8")))
    wrong = sorted(exported ^ listed)
    yield "exported symbols and the table of calls", f"on one side only: {wrong}" if wrong else None


def run():
    for part in (dialects, example, example_that_fails, foreign, abi, rows):
        for name, why in part():
            if why is None:
                yield name, "ok", ""
            elif why.startswith("skip: "):
                yield name, "skipped", why[6:]
            else:
                yield name, "FAILED", why


if __name__ == "__main__":
    if sys.argv[1:] == ["--abi"]:
        print("\n".join(abi_now()))
    else:
        for line in run():
            print(*line)
