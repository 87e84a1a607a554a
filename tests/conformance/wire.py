"""What the tests of plain HTTP and TLS ask of the development server's timeline, beside the stage."""
import json
import tempfile

from devserver import FAULTS, Devserver
from stage import Stage


# How late a busy server may note a message: what an agent leaves between two of its own may look shorter by that.
LAG_MS = 150


class WireStage(Stage):
    """One exchange at a time, seen from the server."""

    def requests(self, **query):
        """All that came, decoded or not, oldest first."""
        return [e for e in self.server.timeline(limit=100_000, **query) if e["kind"] == "received"]

    def answers(self):
        return [e for e in self.server.timeline(limit=100_000) if e["kind"] == "sent"]

    def connections(self):
        return [e for e in self.server.timeline(limit=100_000) if e.get("event") == "opened"]

    def wait_entry(self, since=0, timeout="10s", **fields):
        return self.server.wait("match=" + json.dumps(fields), timeout, since=since)["entry"]

    def wait_requests(self, count, since=0, timeout="10s"):
        """The first so many requests, as entries."""
        self.server.wait(f"requests>={count}", timeout, since=since)
        return self.requests(since=since)[:count]

    def stays_silent(self, since, span="300ms"):
        """Nothing comes for that long."""
        with self.assertRaisesRegex(AssertionError, "did not come true"):
            self.server.wait("requests>=1", span, since=since)

    def fault(self, do, times=1, **rule):
        """One rule for the next occasion."""
        self.server.faults({"rules": [{"name": "fault", "times": times, "do": do, **rule}]})

    def fault_file(self, name, **changes):
        """A script of tests/faults, with the keys of its first rule changed."""
        script = json.loads((FAULTS / f"{name}.json").read_text())
        script["rules"][0].update(changes)
        self.server.faults(script)
        return script["rules"][0]["name"]

    def hang(self):
        """From now on connections are never made: not a packet comes in return."""
        self.server.post("listen", {"listening": False, "hang": True})

    def failure(self, agent):
        """The error of the one try that fails."""
        event = agent.wait("connect_failed")
        self.assertEqual(0, event.missed, "more than one try has failed")
        return event.error

    def failing(self, agent):
        """The error of a try, while all of them fail: a newer one may have replaced others."""
        return agent.wait("connect_failed").error

    def failures(self, agent, count):
        """The errors of so many failed tries by their number from 0; of one that a newer one has replaced there is none."""
        told, number = {}, -1
        while number < count - 1:
            event = agent.wait("connect_failed")
            number += event.missed + 1
            told[number] = event.error
        self.assertEqual(count - 1, number, "more tries have failed")
        return told

    def gaps(self, entries):
        return [after["at_ms"] - before["at_ms"] for before, after in zip(entries, entries[1:])]

    def assert_pace(self, entries, interval_ms):
        """Many messages are spread over the time that so many intervals take."""
        took = entries[-1]["at_ms"] - entries[0]["at_ms"]
        self.assertGreaterEqual(took, 0.9 * interval_ms * (len(entries) - 1) - LAG_MS)

    def header(self, entry, name):
        """All values of a request's header."""
        return [value for key, value in entry["http"]["headers"] if key.lower() == name.lower()]

    def kinds(self, agent):
        """Kinds of all events so far, those that wait included."""
        agent.drain()
        return [event.kind for event in agent.events]


class TlsStage(WireStage):
    """A server that takes TLS, with an authority of its own."""

    client_auth = False

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.server = Devserver(folder.name, self.client_auth, transport=self.transport)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        self.addCleanup(self.judge)
        self.files = self.server.ready["tls"]

    def path(self, name):
        return f"{self.files['folder']}/{name}"

    def client(self, *arguments, **more):
        more.setdefault("ca", self.files["ca"])
        return super().client(*arguments, **more)
