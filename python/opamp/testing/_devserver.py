"""The development server as a child process, and its control API as methods."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any, Union

#: A body, or a content type and a body; a text is encoded as UTF-8.
File = Union[bytes, str, "tuple[str, bytes | str]"]


class DevserverNotFound(RuntimeError):
    """There is no opamp-devserver on this machine."""


def binary() -> str:
    """The program: what OPAMP_DEVSERVER names, else that of the wheel `libopamp-devserver`, else
    the first on the PATH.

    Raises DevserverNotFound.
    """
    named = os.environ.get("OPAMP_DEVSERVER")
    if named:
        if not os.path.exists(named):
            raise DevserverNotFound(f"OPAMP_DEVSERVER names {named}, which is not there")
        return named
    found = _of_wheel() or shutil.which("opamp-devserver")
    if not found:
        raise DevserverNotFound("no opamp-devserver here: install libopamp[testing], "
                                "or name one with OPAMP_DEVSERVER")
    return found


def _of_wheel() -> str | None:
    from importlib import metadata

    try:
        files = metadata.files("libopamp-devserver") or []
    except metadata.PackageNotFoundError:
        return None
    paths = [str(file.locate()) for file in files if file.name == "opamp-devserver"]
    return next((os.path.normpath(path) for path in paths if os.path.exists(path)), None)


class Devserver:
    """An OpAMP server of its own on a free port of 127.0.0.1, started by `with` and ended with it;
    all it knows is in memory.

    `tls=True`: it speaks TLS with certificates that it makes; `client_auth=True`: an agent must
    show one too. `more` are further options of the program. Raises DevserverNotFound.
    """

    #: For `OpAMPClient(endpoint=..)`.
    endpoint: str
    #: URL of the control API.
    api: str

    def __init__(self, *more: str, tls: bool = False, client_auth: bool = False) -> None:
        # However this process ends, the server ends with it.
        self._command = [binary(), "--port", "0", "--ready-json",
                         "--parent-pid", str(os.getpid()), *more]
        self._folder: str | None = None
        if tls or client_auth:
            self._folder = tempfile.mkdtemp(prefix="opamp-devserver-")
            self._command += ["--tls", self._folder] + (["--client-auth"] if client_auth else [])
        self._client_auth = client_auth
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Devserver:
        """What `with` does. Returns itself."""
        process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.communicate()
            raise RuntimeError(f"{' '.join(self._command)} ended with status {process.returncode}")
        self._process, ready, self._owner = process, json.loads(line), os.getpid()
        self.endpoint, self.api = ready["endpoint"], ready["api"]
        return self

    def stop(self) -> None:
        """Ends the server; repeatable, and nothing in a forked child, which did not start it."""
        if self._process is not None and self._owner != os.getpid():
            return
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate(timeout=10)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Devserver:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def tls_options(self) -> dict[str, str]:
        """Arguments of `OpAMPClient` that trust this server, with a client certificate under
        `client_auth`. {} without TLS."""
        if self._folder is None:
            return {}
        path = os.path.join(self._folder, "")
        options = {"tls_certificate": f"{path}ca.pem"}
        if self._client_auth:
            options.update(tls_client_certificate=f"{path}client.pem",
                           tls_client_key=f"{path}client.key")
        return options

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One call of the control API (see the program's README); the answer. Raises AssertionError
        with the server's text when it refuses, or when what was waited for did not come."""
        import urllib.error
        import urllib.parse
        import urllib.request

        words = urllib.parse.urlencode(
            {name: value for name, value in query.items() if value is not None})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.api}/{path}" + (f"?{words}" if words else ""), data,
            {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=600) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read().decode()
            raise AssertionError(f"{method} {path} {query}: {error.code} {said}") from None

    def offer(self, files: Mapping[str, File], *, config_hash: bytes | None = None,
              agent: str | None = None) -> str:
        """Offers a configuration of these files to every agent that accepts one, or to that one
        (its uid as text), until it reports a status. Returns the hash in hex."""
        from base64 import b64encode

        listed: list[dict[str, str]] = []
        for name, file in files.items():
            content_type, body = file if isinstance(file, tuple) else ("", file)
            octets = body.encode() if isinstance(body, str) else body
            listed.append({"name": name, "content_type": content_type,
                           "body_base64": b64encode(octets).decode()})
        spec: dict[str, Any] = {"files": listed}
        if config_hash is not None:
            spec["hash"] = config_hash.hex()
        if agent is not None:
            spec["agent"] = agent
        return str(self.call("POST", "config", spec)["hash"])

    def withdraw(self) -> None:
        """Ends the offer."""
        self.call("DELETE", "config")

    def next(self, answer: Mapping[str, Any], *, times: int = 1, agent: str | None = None) -> None:
        """Lays these fields of a ServerToAgent over the next answers, e.g.
        `{"error_response": {"type": "BadRequest"}}`."""
        to_one = {} if agent is None else {"agent": agent}
        self.call("POST", "next", {"answer": answer, "times": times, **to_one})

    def faults(self, *rules: Mapping[str, Any]) -> None:
        """Spoils what comes next, e.g. `{"times": 2, "do": {"status": 503, "retry_after": 1}}`;
        without a rule all is well again."""
        if rules:
            self.call("POST", "faults", {"rules": list(rules)})
        else:
            self.call("DELETE", "faults")

    def wait(self, until: str, *, timeout: float = 10, since: int = 0,
             agent: str | None = None) -> Any:
        """Waits at most `timeout` seconds for a condition, e.g. `"messages>=2"`, `"disconnected"`,
        `"status=APPLIED:offered"`; the entry of the timeline that fulfils it. Raises AssertionError
        when it does not come."""
        limit = f"{int(timeout * 1000)}ms"
        return self.call(
            "GET", "wait", until=until, timeout=limit, since=since, agent=agent)["entry"]

    def timeline(self, **filters: Any) -> list[dict[str, Any]]:
        """What happened, oldest first; filters as `kind="received"`, `agent=`, `part=`, `since=`,
        `limit=`."""
        return list(self.call("GET", "timeline", **filters)["entries"])

    def messages(self, **filters: Any) -> list[dict[str, Any]]:
        """The AgentToServer messages as they came, decoded."""
        return [entry["message"] for entry in self.timeline(kind="received", **filters)
                if "message" in entry]

    def agents(self) -> list[dict[str, Any]]:
        """What the server knows of each agent."""
        return list(self.call("GET", "agents")["agents"])

    def problems(self) -> list[dict[str, Any]]:
        """Where an agent did what the protocol does not allow; [] is good."""
        return list(self.call("GET", "problems")["problems"])
