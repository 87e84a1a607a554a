"""The package, and code that uses it, under both type checkers in strict mode."""
import subprocess
import tempfile
import unittest
from pathlib import Path

import tools
from kit import PACKAGE

USAGE = '''
from __future__ import annotations

import asyncio

import opamp
from opamp import MessageData, OpAMPAgent, OpAMPCallbacks, OpAMPClient
from opamp.exceptions import OpAMPException, OpAMPTimeoutError
from opamp.proto import opamp_pb2


class Callbacks(OpAMPCallbacks):
    def on_connect_failed(self, agent: OpAMPAgent, client: OpAMPClient, error: Exception) -> None:
        kind: str = error.kind if isinstance(error, OpAMPException) else ""
        print(kind, isinstance(error, OpAMPTimeoutError))

    def on_message(self, agent: OpAMPAgent, client: OpAMPClient, message: MessageData) -> None:
        if message.remote_config:
            applied: int = opamp_pb2.RemoteConfigStatuses_APPLIED
            client.update_remote_config_status(remote_config_hash=message.remote_config.config_hash, status=applied)
            agent.send(payload=client.build_heartbeat_message(), callback=lambda: None)


client = OpAMPClient(endpoint="http://127.0.0.1:4320/v1/opamp", agent_identifying_attributes={"service.name": "shop", "list": [1, "a"]},
                     proxy="http://proxy:3128", proxy_headers={"X-Tenant": "shop"}, allow_redirects_to=["https://gateway.example"],
                     tls_accept_expired_ca=True)
direct = OpAMPClient(endpoint="http://127.0.0.1:4320/v1/opamp", agent_identifying_attributes={"service.name": "shop"}, proxy=False)
name: str = opamp_pb2.RemoteConfigStatuses.Name(opamp_pb2.RemoteConfigStatuses_APPLIED)
with OpAMPAgent(interval=30, callbacks=Callbacks(), client=client) as agent:
    state: object = agent.snapshot()["state"]
    is_here: bool = opamp.available
    print(state, is_here, agent.flush(1.0))


async def kinds(agent: OpAMPAgent) -> list[str]:
    return [event.kind async for event in agent.events()]


asyncio.run(kinds(agent))
'''


@unittest.skipIf(tools.lacking(), "needs build/python-tools")
class Types(unittest.TestCase):
    def clean(self, *command):
        done = subprocess.run([str(word) for word in command], cwd=PACKAGE, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def usage(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "usage.py")
        path.write_text(USAGE, encoding="utf-8")
        (path.parent / "pyrightconfig.json").write_text(f'{{"typeCheckingMode": "strict", "extraPaths": ["{PACKAGE}"]}}', encoding="utf-8")
        return path

    def test_mypy_has_nothing_to_say(self):
        self.clean(tools.PYTHON, "-m", "mypy", "--config-file", "pyproject.toml", "--no-incremental")

    def test_mypy_has_nothing_to_say_of_a_program_that_uses_it(self):
        self.clean("env", f"MYPYPATH={PACKAGE}", tools.PYTHON, "-m", "mypy", "--strict", "--no-incremental", "--config-file", "", self.usage())

    def test_pyright_has_nothing_to_say(self):
        self.clean(tools.PYRIGHT, "--pythonpath", tools.PYTHON, "-p", ".")

    def test_pyright_has_nothing_to_say_of_a_program_that_uses_it(self):
        self.clean(tools.PYRIGHT, "--pythonpath", tools.PYTHON, "-p", self.usage().parent)


if __name__ == "__main__":
    unittest.main()
