"""Elastic's mock server of mockserver/ as a child process."""
import functools
import pathlib
import shutil
import subprocess

from child import ROOT, Child

SOURCE = pathlib.Path(__file__).resolve().parent / "mockserver"
INSTALLED = ROOT / "build/interop/mockserver"


@functools.cache
def lacking():
    """Why there is no server, or None once it is installed as its lock file says."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "no npm"
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "main.js"):
        shutil.copyfile(SOURCE / name, INSTALLED / name)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=INSTALLED, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    return None if done.returncode == 0 else "npm ci: " + " | ".join(done.stderr.splitlines()[-3:])


class MockServer(Child):
    """Listens when this returns."""

    def __init__(self, work):
        super().__init__(["node", INSTALLED / "main.js"], work / "mockserver.log")
        self.endpoint = self.wait("ready", timeout=30)["endpoint"]

    def do(self, command, **more):
        """A command; the exchanges so far, as {"a2s", "s2a", "status"}."""
        since = self.now()
        self.tell({"do": command, **more})
        return self.wait("done", since)["exchanges"]
