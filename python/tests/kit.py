"""What the tests of the package share."""
import contextlib
import logging
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

from devserver import Devserver

from opamp import OpAMPAgent, OpAMPCallbacks, OpAMPClient, _log, _told

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent
# Long enough for a slow machine; nothing waits so long when all is well.
PATIENCE_S = 30

__all__ = ["Devserver", "PACKAGE", "PATIENCE_S", "ROOT", "Recorder", "client_of", "log_lines", "python", "running"]


def client_of(endpoint, kind=OpAMPClient, **more):
    more.setdefault("timeout_millis", 10_000)
    return kind(**{"endpoint": endpoint, "agent_identifying_attributes": {"service.name": "shop"}, **more})


class Recorder(OpAMPCallbacks):
    """Puts what it hears into a queue: (name, what it brought), with the thread it came on."""

    def __init__(self):
        self.heard = queue.Queue()
        self.threads = set()

    def _put(self, name, value=None):
        self.threads.add(threading.get_ident())
        self.heard.put((name, value))

    def on_connect(self, agent, client):
        self._put("connect")

    def on_connect_failed(self, agent, client, error):
        self._put("connect_failed", error)

    def on_error(self, agent, client, error_response):
        self._put("error", error_response)

    def on_message(self, agent, client, message):
        self._put("message", message)

    def next(self, *names):
        """The next thing heard of these names."""
        while True:
            name, value = self.heard.get(timeout=PATIENCE_S)
            if not names or name in names:
                return name, value

    def offer(self):
        """The next message with a configuration."""
        while True:
            message = self.next("message")[1]
            if message.remote_config:
                return message.remote_config


def opened(client):
    """The library's client of one of ours, as its first use makes it."""
    return _told.opened(client.__opamp_state__)


@contextlib.contextmanager
def running(client, callbacks=None, **more):
    agent = OpAMPAgent(**{"interval": 30, "initial_backoff": 0.05, "callbacks": callbacks, "client": client, **more})
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()


@contextlib.contextmanager
def log_lines(name="opamp", level=logging.DEBUG):
    """What is logged under a name meanwhile, with tracebacks."""
    lines = []

    class Handler(logging.Handler):
        def emit(self, record):
            lines.append(self.format(record))

    _log._said.clear()  # what is worth one line in a process is worth one here
    logger, handler = logging.getLogger(name), Handler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def python(script, *arguments, executable=sys.executable, **more):
    """Runs a script in a process of its own that finds the package; its output, which must be all right."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGE), **more}
    done = subprocess.run([executable, "-c", script, *arguments], env=env, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise AssertionError(f"status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout
