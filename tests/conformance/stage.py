"""The stage of a test: a server of its own, agents that are short of patience, the timeline in plain words."""
import base64
import ctypes
import json
import os
import time
import unittest

from binding import LIB, Agent, Client, OpampError
from devserver import Devserver

ALL = ("REPORTS_STATUS", "REPORTS_HEARTBEAT", "ACCEPTS_REMOTE_CONFIG", "REPORTS_REMOTE_CONFIG",
       "REPORTS_EFFECTIVE_CONFIG")
# Waits that a test can sit through; all else as shipped.
QUICK = {"FIRST_RETRY_MAX_MS": 20, "BACKOFF_BASE_MS": 20, "BACKOFF_MAX_MS": 40, "RETRY_AFTER_JITTER_MS": 0,
         "RETRY_AFTER_MIN_MS": 100, "STOP_GRACE_MS": 1000, "CHANGE_INTERVAL_MS": 0}
# The fields of a message that has no news.
BARE = {"instance_uid", "sequence_num", "capabilities"}
# An agent of this interval says nothing by itself while a test runs.
NEVER = 3_600_000


class Stage(unittest.TestCase):
    """Closes everything in reverse order. A verdict of the server against an agent fails the test, but for `pardoned` rows."""

    pardoned = ()
    transport = "http"
    # What tells that a message of the server's is good for nothing.
    useless = "connect_failed"

    def setUp(self):
        self.server = Devserver(transport=self.transport)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        self.addCleanup(self.judge)

    def judge(self):
        problems = [p for p in self.server.problems() if p["row"] not in self.pardoned]
        self.assertEqual([], problems)

    def client(self, options=None, capabilities=ALL, **more):
        client = Client(self.server.endpoint, capabilities=capabilities, options={**QUICK, **(options or {})}, **more)
        self.addCleanup(lambda: client.handle and client.unref())
        return client

    def agent(self, client=None, interval_ms=NEVER, log_level=0, **more):
        """Not started yet."""
        agent = Agent(client or self.client(**more), interval_ms, log_level)
        self.addCleanup(lambda: agent.handle and agent.free())
        return agent

    def started(self, client=None, interval_ms=NEVER, log_level=0, **more):
        """A running agent whose first report is confirmed."""
        agent = self.agent(client, interval_ms, log_level, **more).start()
        agent.wait("connected")
        agent.flush()
        return agent

    def exchange(self, agent):
        """One message now, whatever is pending with it; returns when its answer was taken in."""
        ticket = agent.send(b"")
        while (done := agent.wait("report_done")).ticket != ticket:
            pass
        self.assertIsNone(done.error)
        return self.last_message()

    def polled(self, agent):
        """One message now, though something may be held back; returns when its answer was taken in."""
        since = self.now()
        agent.poll_now()
        message = self.wait("messages>=1", since)
        def is_answered():
            shown = agent.snapshot()
            return shown["messages_received"] == shown["messages_sent"]
        self.until(is_answered)
        return message

    def recovered(self, agent):
        """After a useless message; returns when the agent has heard a good one."""
        agent.wait("connected")

    def told(self, agent):
        """All events so far."""
        agent.drain()
        return list(agent.events)

    def until(self, condition, timeout=10.0):
        """What the condition says once it is true; for what only a snapshot shows."""
        end = time.monotonic() + timeout
        while not (found := condition()):
            self.assertLess(time.monotonic(), end, "the condition did not come true")
            os.sched_yield()
        return found

    def messages(self, since=0, **query):
        """AgentToServer as JSON, oldest first; `_parts` and `_index` beside the fields."""
        entries = self.server.timeline(kind="received", since=since, limit=100_000, **query)
        return [said(entry) for entry in entries if "message" in entry]

    def last_message(self):
        return self.messages()[-1]

    def now(self):
        """The index of the timeline from which on things are news."""
        return self.server.get("")["next"]

    def wait(self, until, since=0, timeout="10s"):
        """The entry as JSON, an AgentToServer as `messages` shows it."""
        entry = self.server.wait(until, since=since, timeout=timeout)["entry"]
        return said(entry) if entry and "message" in entry else entry

    def wait_for(self, since=0, timeout="10s", **fields):
        """The first message that holds at least these fields."""
        condition = {"kind": "received", "message": fields}
        return self.wait("match=" + json.dumps(condition), since, timeout)

    def refused(self, code, call, *arguments, **more):
        with self.assertRaises(OpampError) as caught:
            call(*arguments, **more)
        self.assertEqual(code, caught.exception.code)
        return caught.exception.error


def said(entry):
    return {**entry["message"], "_parts": entry["parts"], "_index": entry["index"], "_at_ms": entry["at_ms"],
            "_http": entry.get("http"), "_connection": entry.get("connection"), "_full": entry.get("full")}


def fields(message):
    """The names of the fields that it has."""
    return {name for name in message if not name.startswith("_")}


def files(message):
    """The effective configuration of a message as {name: (content type, body)}."""
    listed = message["effective_config"].get("config_map", {}).get("config_map", {})
    return {name: (file.get("content_type", ""), octets(file, "body")) for name, file in listed.items()}


def octets(fields, name):
    if name + "_base64" in fields:
        return base64.b64decode(fields[name + "_base64"])
    return fields.get(name, "").encode()


def attributes_of(pairs):
    return {pair["key"]: plain(pair.get("value", {})) for pair in pairs}


def plain(value):
    """An AnyValue in Python's terms."""
    if "array_value" in value:
        return [plain(item) for item in value["array_value"].get("values", [])]
    if "kvlist_value" in value:
        return attributes_of(value["kvlist_value"].get("values", []))
    if any(name.startswith("bytes_value") for name in value):
        return octets(value, "bytes_value")
    return next(iter(value.values()), None)


def uid_text(uid):
    text = uid.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def snapshot_number(agent, name):
    """One number of a fresh snapshot, None where there is none."""
    handle = ctypes.c_void_p()
    assert LIB.agent_snapshot(agent.handle, ctypes.byref(handle)) == 0
    value = ctypes.c_uint64()
    status = LIB.snapshot_number(handle, LIB.constant("SNAPSHOT_" + name), ctypes.byref(value))
    LIB.snapshot_free(handle)
    return value.value if status == 0 else None
