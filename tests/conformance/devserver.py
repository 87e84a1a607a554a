"""The development server as a child process, and its control API (devserver/README.md) as methods."""
import base64
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAULTS = ROOT / "tests/faults"


def binary():
    return os.environ.get("OPAMP_DEVSERVER") or str(ROOT / "target/tools/opamp-devserver")


class Devserver:
    """Started by `with`, on a free loopback port; ends with its standard input."""

    def __init__(self, tls=None, client_auth=False, *more, transport="http"):
        self.transport = transport
        # Proxies of the tests take agents to the server under this name.
        names = ["--allow-host", "opamp.invalid"]
        self.arguments = [binary(), "--port", "0", "--ready-json", *names, *more]
        if tls:
            self.arguments += ["--tls", str(tls)]
        if client_auth:
            self.arguments += ["--client-auth"]

    def __enter__(self):
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ready = json.loads(self.process.stdout.readline())
        self.api, self.port, self.endpoints = self.ready["api"], self.ready["port"], self.ready["endpoints"]
        self.endpoint = self.endpoints[self.transport]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()

    def call(self, method, path, body=None, **query):
        """One call of the control API; an HTTP error is an AssertionError with its text."""
        query = {name: value for name, value in query.items() if value is not None}
        url = f"{self.api}/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path} {query}: {error.code} {error.read().decode()}") from None

    def get(self, path, **query):
        return self.call("GET", path, **query)

    def post(self, path, body, **query):
        return self.call("POST", path, body, **query)

    def delete(self, path, **query):
        return self.call("DELETE", path, **query)

    def offer(self, files, hash_hex=None, agent=None):
        """Offers {name: body or (content type, body)}; answers {"hash": .., "since": ..}."""
        listed = []
        for name, value in files.items():
            content_type, body = value if isinstance(value, tuple) else ("", value)
            listed.append({"name": name, "content_type": content_type,
                           "body_base64": base64.b64encode(body).decode()})
        spec = {"files": listed}
        if hash_hex is not None:
            spec["hash"] = hash_hex
        if agent is not None:
            spec["agent"] = agent
        return self.post("config", spec)

    def next(self, answer=None, times=1, **more):
        """The next answers are merged with, or replaced by, this ServerToAgent as JSON."""
        return self.post("next", {**({"answer": answer} if answer is not None else {}), "times": times, **more})

    def push(self, answer=None, **more):
        """A ServerToAgent at once, to everyone who is there by WebSocket."""
        return self.post("push", {**({"answer": answer} if answer is not None else {}), **more})

    def faults(self, script):
        """Rules as a dict, or the name of a file under tests/faults."""
        if isinstance(script, str):
            script = json.loads((FAULTS / script).read_text())
        return self.post("faults", script)

    def wait(self, until, timeout="10s", **query):
        """The entry or state that fulfils the condition; an AssertionError when it does not come."""
        return self.get("wait", until=until, timeout=timeout, **query)

    def timeline(self, **query):
        return self.get("timeline", **query)["entries"]

    def problems(self, **query):
        return self.get("problems", **query)["problems"]

    def agents(self):
        return self.get("agents")["agents"]
