#!/usr/bin/env python3
"""The environment in which tests meet protobuf, requests, OpenTelemetry's API, gevent, eventlet and the type checkers: build/python-tools.

usage: python/tests/tools.py      makes it, from PyPI (tools.txt) and npm (pyright)
"""
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDER = ROOT / "build/python-tools"
PYTHON = FOLDER / "bin/python"
PYRIGHT = FOLDER / "node_modules/.bin/pyright"
PYRIGHT_VERSION = "1.1.414"


def lacking():
    """What of it is not there."""
    return [name for name, path in (("environment", PYTHON), ("pyright", PYRIGHT)) if not path.exists()]


def main():
    if not PYTHON.exists():
        venv.create(FOLDER, with_pip=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", HERE / "tools.txt"], check=True)
    if not PYRIGHT.exists():
        if shutil.which("npm") is None:
            sys.exit("missing on this machine: npm")
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", FOLDER, f"pyright@{PYRIGHT_VERSION}"],
                       check=True, env={**os.environ, "npm_config_update_notifier": "false"})


if __name__ == "__main__":
    main()
