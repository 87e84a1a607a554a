#!/usr/bin/env python3
"""What `make wheel` made: contents and metadata, installed into empty environments, with every Python that is here, and the README's page.

usage: tests/wheel/run.py            after `make wheel`; `make wheel-check` does both
       tests/wheel/run.py --old      on Debian 11 (glibc 2.31, Python 3.9), which debootstrap lays into build/bullseye; as root

pip runs without an index: nothing is looked up outside build/wheels.
"""
import concurrent.futures
import email
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WHEELS = ROOT / "build/wheels"
PIP = ROOT / "build/wheel-tools/bin/pip"
# Beside the library's 2 MiB there is an unwinder in it: with libgcc_s of 2014 it could not be sure of one.
MAX_STRIPPED = 2 * 1024 * 1024 + 128 * 1024
OLDEST, NEWEST = 9, 14
# The very program that the wheel holds.
os.environ["OPAMP_DEVSERVER"] = str(ROOT / "build/wheel-stage/opamp-devserver")
sys.path.insert(0, str(ROOT / "tests/conformance"))
from devserver import Devserver  # noqa: E402


def only(pattern):
    found = list(WHEELS.glob(pattern))
    assert len(found) == 1, f"{pattern}: {[path.name for path in found]}"
    return found[0]


def output(*command, **more):
    """What it says on both outputs; a bad status is a failure. The environment of this run's own Python is no one else's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OPAMP_", "PIP_"))}
    env.update(more.pop("env", {}))
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=300, env=env, **more)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}"
    return done.stdout


class Environment:
    """An empty virtual environment of that Python, into which the named package was installed from a folder of wheels."""

    def __init__(self, folder, package, python=sys.executable, wheels=WHEELS):
        self.python = pathlib.Path(folder) / "venv/bin/python"
        output(python, "-m", "venv", "--without-pip", pathlib.Path(folder) / "venv")
        output(PIP, "--python", self.python, "install", "--quiet", "--no-index", "--find-links", wheels, package)

    def run(self, *arguments, **more):
        return output(self.python, *arguments, **more)


def version():
    return re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.M).group(1)


def contents(path):
    """{name: bytes}, and the metadata."""
    with zipfile.ZipFile(path) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist()}
    metadata = next(body for name, body in files.items() if name.endswith(".dist-info/METADATA"))
    return files, email.message_from_bytes(metadata)


def wheels_hold_what_they_should():
    full, about = contents(only("libopamp-*-manylinux_2_17_*.whl"))
    bare, about_bare = contents(only("libopamp-*-py3-none-any.whl"))
    program, about_program = contents(only("libopamp_devserver-*-manylinux_2_17_*.whl"))
    sources = {path.relative_to(ROOT / "python").as_posix(): path.read_bytes() for path in (ROOT / "python/opamp").rglob("*")
               if path.is_file() and path.suffix != ".pyc"}
    modules = {name: body for name, body in full.items() if name.startswith("opamp/")}
    library = modules.pop("opamp/libopamp.so")
    assert len(library) <= MAX_STRIPPED, f"{len(library)} bytes"
    assert modules == sources, f"not as in python/opamp: {sorted(modules.keys() ^ sources.keys())}"
    assert {name: body for name, body in bare.items() if name.startswith("opamp/")} == sources
    for name in ("LICENSE", "THIRD-PARTY"):
        for files in (full, bare):
            [body] = [body for path, body in files.items() if path.endswith(f".dist-info/licenses/{name}")]
            assert body == (ROOT / name).read_bytes(), name
    [licences] = [body for name, body in program.items() if name.endswith("/THIRD-PARTY")]
    assert b"\ntokio " in licences
    assert [name for name in program if name.endswith(".data/scripts/opamp-devserver")], list(program)
    for metadata in (about, about_bare, about_program):
        assert (metadata["Version"], metadata["License-Expression"], metadata["Requires-Python"]) == (version(), "Apache-2.0", ">=3.9"), metadata
    assert about.get_all("Requires-Dist") == [f"libopamp-devserver=={version()}; extra == 'testing'"], about.get_all("Requires-Dist")
    return f"three wheels of {version()}, the library with {len(library) / 2**20:.2f} MiB"


def library_exports_exactly_the_header():
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(only("libopamp-*-manylinux_2_17_*.whl")) as wheel:
            names = output("nm", "-D", "--defined-only", wheel.extract("opamp/libopamp.so", folder))
    # Each with its version, which is a symbol as well.
    exported = {name.split("@@")[0] for name in re.findall(r"^\S+ [A-Z] (?!OPAMP_\d+$)(\S+)$", names, re.M)}
    header = (ROOT / "include/opamp.ffi.h").read_text(encoding="utf-8")
    stray = {name for name in exported if not re.search(rf"\b{name}\s*\(", header)}
    assert exported and not stray, f"exported beside opamp.h: {sorted(stray)}"
    return f"the wheel's library exports {len(exported)} symbols, all of opamp.h"


def free_ports():
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


# The page ends by itself, within a minute.
README_END = """
timeout 60 tail --pid=$! -f /dev/null || kill $!
curl -s http://127.0.0.1:%d/api/agents
kill $server
"""


def readme_works_as_written():
    """Its commands, with free ports and a folder of its own, in a shell that then waits for the page to end."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").split("## One page of Python")[1]
    commands = re.search(r"```sh\n(.*?)```", readme, re.S).group(1)
    port, api = free_ports()
    with tempfile.TemporaryDirectory() as folder:
        for old, new in (("make wheel ", ": made before "), ("build/venv", f"{folder}/venv"), ("4320", str(port)), ("4321", str(api)),
                         ("opamp-devserver &", f"opamp-devserver --port {port} --api-port {api} & server=$!"),
                         ("\ncurl -s ", "\ncurl -s --retry 20 --retry-delay 1 --retry-connrefused ")):
            assert old in commands, f"README.md no longer says {old!r}"
            commands = commands.replace(old, new)
        said = output("bash", "-euc", f"{commands}\n{README_END % api}", cwd=ROOT)
    assert "a configuration: {'a.yaml': b'a: 1'}" in said, said
    assert '"APPLIED"' in said, said
    return "README.md's page of Python works as written"


# Everything is imported; what was logged, with its level, and the rest as JSON.
WITHOUT = """
import importlib, json, logging, pkgutil, sys
said = []
class Keep(logging.Handler):
    def emit(self, record):
        said.append([record.levelname, record.getMessage()])
logging.getLogger("opamp").addHandler(Keep())
import opamp
for module in pkgutil.walk_packages(opamp.__path__, "opamp."):
    if module.name != "opamp.testing._plugin":  # needs pytest
        importlib.import_module(module.name)
client = opamp.OpAMPClient(endpoint="http://127.0.0.1:9/", agent_identifying_attributes={"service.name": "shop"})
for _ in range(2):
    agent = opamp.OpAMPAgent(callbacks=opamp.OpAMPCallbacks(), client=client)
    agent.start()
    agent.stop()
print(json.dumps([opamp.available, opamp.unavailable_reason, said]))
"""


def only_the_wheel_without_a_library():
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as seen:
        shutil.copy(only("libopamp-*-py3-none-any.whl"), seen)
        bare = Environment(folder, "libopamp", wheels=seen)
        available, reason, said = json.loads(bare.run("-c", WITHOUT))
        assert available is False and "no wheel for this platform" in reason, reason
        assert [level for level, _ in said] == ["WARNING"] and reason in said[0][1], said
        with zipfile.ZipFile(only("libopamp-*-manylinux_2_17_*.whl")) as wheel:
            library = wheel.extract("opamp/libopamp.so", seen)
        connects(bare, OPAMP_LIBRARY=library)
    return "without a library all imports, start() warns once, and OPAMP_LIBRARY names another"


def fixtures_come_with_the_wheel():
    """docs/python-testing.md, its blocks in order, under the pytest of the build tools with the plugin of the installed wheel."""
    page = (ROOT / "docs/python-testing.md").read_text(encoding="utf-8")
    [packages] = (ROOT / "build/wheel-tools/lib").glob("python3*/site-packages")
    with tempfile.TemporaryDirectory() as folder:
        test = pathlib.Path(folder) / "test_page.py"
        test.write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.S)), encoding="utf-8")
        said = Environment(folder, "libopamp[testing]").run("-m", "pytest", "-q", test, cwd=folder, env={"PYTHONPATH": str(packages)})
    assert re.search(r"^4 passed", said, re.M), said
    return "docs/python-testing.md works as written"


def connects(environment, **env):
    """The README's page takes a configuration and reports it."""
    with Devserver() as server:
        server.offer({"a": b"1"})
        said = environment.run(ROOT / "python/examples/minimal.py", server.endpoint, env=env)
        assert "{'a': b'1'}" in said, said
        server.wait("status=APPLIED:offered")
        server.wait("disconnected")
        assert server.problems() == []


def interpreters():
    """{3.9: path, ..} of those that are here."""
    found = {}
    for minor in range(OLDEST, NEWEST + 1):
        pyenv = sorted(pathlib.Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"))
        own = sys.executable if sys.version_info[:2] == (3, minor) else shutil.which(f"python3.{minor}")
        path = pyenv[-1] if pyenv else own
        if path and subprocess.run([str(path), "-c", "import ctypes, venv"], capture_output=True).returncode == 0:
            found[f"3.{minor}"] = path
    return found


def works_with_every_python_that_is_here():
    def check(python):
        with tempfile.TemporaryDirectory() as folder:
            connects(Environment(folder, "libopamp", python))

    found = interpreters()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(check, found.values()))
    absent = [f"3.{minor}" for minor in range(OLDEST, NEWEST + 1) if f"3.{minor}" not in found]
    return f"connects on Python {', '.join(found)}" + (f" (not on this machine: {', '.join(absent)})" if absent else "")


def old_system():
    """Debian 11, made once."""
    root = ROOT / "build/bullseye"
    lacking = [tool for tool in ("debootstrap", "chroot") if shutil.which(tool) is None] + ([] if os.geteuid() == 0 else ["root's rights"])
    if lacking:
        sys.exit(f"libopamp: missing on this machine for wheel-check-old: {', '.join(lacking)}")
    if not (root / "usr/bin/python3.9").exists():
        shutil.rmtree(root, ignore_errors=True)
        mirror = [os.environ["DEBIAN_MIRROR"]] if os.environ.get("DEBIAN_MIRROR") else []
        output("debootstrap", "--variant=minbase", "--include=python3", "bullseye", root, *mirror)
    return root


# The server's line with the endpoint comes first; the agent is the README's page.
OLD_SCRIPT = """
cd /opt/opamp
bin/opamp-devserver --port 0 --ready-json --parent-pid 0 >ready & server=$!
until [ -s ready ]; do sleep 0.1; done
python3 - <<'END'
import json, subprocess, sys, urllib.request
ready = json.load(open("ready"))
request = lambda path, data=None: urllib.request.urlopen(ready["api"] + path, data).read()
request("/config", b'{"files": [{"name": "a", "body": "1"}]}')
subprocess.run([sys.executable, "minimal.py", ready["endpoint"]], check=True)
print(request("/wait?until=status%3DAPPLIED:offered&timeout=10s")[:60])
END
kill $server
ldd --version | head -n 1
"""


def works_on_an_old_debian():
    root = old_system()
    target = root / "opt/opamp"
    shutil.rmtree(target, ignore_errors=True)
    for wheel in (only("libopamp-*-manylinux_2_17_*.whl"), only("libopamp_devserver-*-manylinux_2_17_*.whl")):
        output(PIP, "install", "--quiet", "--no-index", "--no-deps", "--upgrade", "--target", target, wheel)
    shutil.copy(ROOT / "python/examples/minimal.py", target)
    said = output("chroot", root, "env", "PYTHONPATH=/opt/opamp", "sh", "-euc", OLD_SCRIPT)
    assert "a configuration: {'a': b'1'}" in said, said
    return f"agent and development server work on {said.splitlines()[-1]}"


CHECKS = [wheels_hold_what_they_should, library_exports_exactly_the_header, only_the_wheel_without_a_library, works_with_every_python_that_is_here,
          readme_works_as_written, fixtures_come_with_the_wheel]


def main():
    checks = [works_on_an_old_debian] if sys.argv[1:] == ["--old"] else CHECKS
    failed = 0
    for check in checks:
        try:
            print(f"ok: {check()}", flush=True)
        except Exception as why:
            failed += 1
            print(f"FAILED: {check.__name__}: {type(why).__name__}: {why}", flush=True)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
