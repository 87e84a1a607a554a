"""The server of goserver/ as a child process, and its messages in Python's terms."""
import base64
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess

from child import ROOT, Child, quiet_port

SOURCE = pathlib.Path(__file__).resolve().parent / "goserver"
PROGRAM = ROOT / "build/interop/goserver"
REPORT_FULL_STATE = 1


@functools.cache
def lacking():
    """Why there is no server, or None once it is built."""
    if shutil.which("go") is None:
        return "no Go"
    built = subprocess.run(["go", "build", "-o", PROGRAM, "."], cwd=SOURCE, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           env={**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false"})
    return None if built.returncode == 0 else "goserver does not build: " + " | ".join(built.stderr.splitlines()[-3:])


class GoServer(Child):
    """Listens when this returns. With `trust` (a folder of certificates) it speaks TLS and wants a client's certificate."""

    def __init__(self, work, trust=None, address=None):
        command = [PROGRAM, "-listen", address or f"127.0.0.1:{quiet_port()}"]
        if trust is not None:
            command += ["-certificate", trust / "server.pem", "-key", trust / "server.key", "-client-authority", trust / "ca.pem"]
        super().__init__(command, work / "goserver.log")
        self.address = self.wait("ready")["address"]

    def endpoint(self, scheme):
        return f"{scheme}://{self.address}/v1/opamp"

    def do(self, command, **more):
        """A command, and what the server says once it is done."""
        since = self.now()
        self.tell({"do": command, **more})
        return self.wait("done", since)

    def messages(self, since=0):
        return [Message(line) for line in self.said("message", since)]

    def wait_message(self, condition, since=0, timeout=15.0):
        """The first message that fulfils the condition."""
        return Message(self.wait(lambda line: line["event"] == "message" and condition(Message(line)), since, timeout))


class Message:
    """An AgentToServer as this server saw it."""

    def __init__(self, line):
        self.line = line
        self.fields = line["message"]
        self.connection = line["connection"]

    @property
    def uid(self):
        return base64.b64decode(self.fields["instance_uid"]).hex()

    @property
    def number(self):
        return int(self.fields.get("sequence_num", 0))

    @property
    def capabilities(self):
        return int(self.fields.get("capabilities", 0))

    @property
    def is_disconnect(self):
        return "agent_disconnect" in self.fields

    @property
    def is_full(self):
        return {"agent_description", "effective_config"} <= set(self.fields)

    @property
    def verdict(self):
        """(hash, status, error) of the configuration, or None where the message has no status."""
        if "remote_config_status" not in self.fields:
            return None
        status = self.fields["remote_config_status"]
        return (base64.b64decode(status.get("last_remote_config_hash", "")).hex(),
                {0: "UNSET", 1: "APPLIED", 2: "APPLYING", 3: "FAILED"}[status.get("status", 0)], status.get("error_message", ""))

    @property
    def effective(self):
        """{name: body} or None where the message has none."""
        if "effective_config" not in self.fields:
            return None
        listed = self.fields["effective_config"].get("config_map", {}).get("config_map", {})
        return {name: base64.b64decode(file.get("body", "")) for name, file in listed.items()}

    def attribute(self, key):
        described = self.fields["agent_description"]
        for pair in described.get("identifying_attributes", []) + described.get("non_identifying_attributes", []):
            if pair["key"] == key:
                return pair["value"].get("string_value")
        return None


def b64(data):
    return base64.b64encode(data).decode()


def offer(files):
    """(hash as hexadecimal digits, ServerToAgent) for {name: body}."""
    text = hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for name in sorted(files) for part in (name.encode(), files[name])))
    listed = {name: {"body": b64(body), "content_type": "text/plain"} for name, body in files.items()}
    return text.hexdigest(), {"remote_config": {"config": {"config_map": listed}, "config_hash": b64(text.digest())}}
