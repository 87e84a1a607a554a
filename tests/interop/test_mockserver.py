"""The example agent against @elastic/mockopampserver, which speaks plain HTTP."""
import time

import mockserver
from stage import Stage

FILES = {"elastic": '{"logging_level": "debug"}', "other": "x"}


def verdicts(exchanges):
    return [e["a2s"]["remoteConfigStatus"] for e in exchanges if e["a2s"].get("remoteConfigStatus")]


def applied(exchanges):
    """How many configurations were reported as applied."""
    return len({verdict["lastRemoteConfigHash"] for verdict in verdicts(exchanges) if verdict["status"] == 1})


class MockServerTest(Stage):
    def setUp(self):
        if mockserver.lacking():
            self.skipTest(mockserver.lacking())
        super().setUp()
        self.server = mockserver.MockServer(self.work)
        self.addCleanup(self.server.close)

    def until(self, condition, timeout=15):
        """The exchanges, once they fulfil the condition."""
        end = time.monotonic() + timeout
        while not condition(exchanges := self.server.do("look")):
            self.assertLess(time.monotonic(), end, f"did not come true\n{self.server.tail()}")
        return exchanges

    def test_an_offer_is_applied_and_acknowledged(self):
        """[RCV-03] [SYNC-04]"""
        # given a server with a configuration
        self.server.do("offer", files=FILES)
        # when an agent comes
        agent = self.agent(self.server.endpoint)
        agent.wait(lambda e: e.get("state") == "APPLIED")
        # then its files are live, and the server got the verdict
        self.assertEqual({name: text.encode() for name, text in FILES.items()}, agent.live())
        exchanges = self.until(lambda all: applied(all) == 1)
        offered = [e["s2a"]["remoteConfig"]["configHash"] for e in exchanges if e["s2a"].get("remoteConfig")]
        self.assertEqual(offered[0], verdicts(exchanges)[-1]["lastRemoteConfigHash"])
        # and its doubt about a first report without a status was answered once
        asked = [e for e in exchanges if int(e["s2a"]["flags"] or 0) & 1]
        self.assertLessEqual(len(asked), 1)
        # and the next offer works as well
        self.server.do("offer", files={"elastic": "{}"})
        self.until(lambda all: applied(all) == 2)
        self.assertEqual({"elastic": b"{}"}, agent.live())

    def test_numbers_are_without_a_gap_and_the_goodbye_is_last(self):
        """[SYNC-12] [LIFE-01]"""
        agent = self.agent(self.server.endpoint)
        self.until(lambda all: len(all) >= 5)
        status, _ = agent.stop()
        self.assertEqual(0, status, agent.tail())
        exchanges = self.server.do("look")
        self.assertEqual([str(n) for n in range(len(exchanges))], [e["a2s"]["sequenceNum"] for e in exchanges])
        goodbyes = [i for i, e in enumerate(exchanges) if e["a2s"].get("agentDisconnect")]
        self.assertEqual([len(exchanges) - 1], goodbyes)
        self.assertEqual({200}, {e["status"] for e in exchanges})
