"""Answers that are none: told, and nothing is lost."""
from stage import NEVER
from wire import WireStage

# The server believes that its answer was good, and that nothing need be told again.
SERVER_IS_CONTENT = ("SYNC-02",)


class BadAnswers(WireStage):
    def assert_lost_nothing(self, name, kind, *facts, **changes):
        """The first report is answered badly; the host is told, and the report is made again."""
        self.fault_file(name, **changes)
        agent = self.agent().start()
        error = self.failure(agent)
        self.assertEqual((kind, 200), (error["kind"], error["status"]))
        for fact in facts:
            self.assertIn(fact, error["text"])
        self.assertLess(len(error["text"]), 600)
        agent.wait("connected")
        agent.flush()
        told = self.requests()
        self.assertEqual([["agent_description"]] * 2, [entry["parts"] for entry in told])
        self.assertEqual([0, 1], [entry["sequence_number"] for entry in told])
        self.assertNotIn("message", self.kinds(agent))
        return agent, error

    def test_a_proxys_page(self):
        """[HTTP-16]"""
        agent, error = self.assert_lost_nothing("http-16-html", "decode", "text/html")
        self.assertIn("<", error["text"].split("text/html", 1)[1])

    def test_a_page_is_shown_in_short_and_without_control_characters(self):
        """[HTTP-16]"""
        page = "<html>\r\n\x1b[31mBlocked\x0c by\tpolicy" + "x" * 100_000
        do = {"body": {"text": page}, "content_type": "text/html"}
        _, error = self.assert_lost_nothing("http-16-html", "decode", "Blocked", do=do)
        self.assertEqual([], [char for char in error["text"] if ord(char) < 0x20])

    def test_no_protobuf(self):
        """[HTTP-16]"""
        self.assert_lost_nothing("http-16-garbage", "decode")

    def test_a_truncated_message(self):
        """[HTTP-16]"""
        self.server.offer({"a": b"1"})
        self.fault_file("http-16-truncated")
        agent = self.agent().start()
        self.assertEqual("decode", self.failure(agent)["kind"])
        # the offer that was in it comes with the next answer, and is told then
        self.assertEqual({"a": ("", b"1")}, agent.wait("message").files)
        self.assertEqual(["connect_failed", "connected", "message"], self.kinds(agent))
        self.assertEqual([["agent_description"]] * 2, [entry["parts"] for entry in self.requests()[:2]])

    def test_gzip_that_is_none(self):
        """[HTTP-16]"""
        self.assert_lost_nothing("http-16-false-gzip", "decode", "gzip")

    def test_a_foreign_encoding(self):
        """[HTTP-16]"""
        self.pardoned = SERVER_IS_CONTENT
        do = {"headers": [["Content-Encoding", "br"]]}
        self.assert_lost_nothing("http-16-false-gzip", "decode", "br", do=do)

    def test_a_wrong_content_type(self):
        """[HTTP-16]"""
        self.assert_lost_nothing("http-16-wrong-content-type", "decode", "application/json")

    def test_content_types_that_are_taken(self):
        """[HTTP-16]"""
        for name in ("content-type-parameters", "no-content-type", "plain-protobuf", "other-content-types",
                     "empty-html"):
            with self.subTest(name):
                since = self.now()
                self.fault_file(f"http-16-{name}")
                agent = self.started()
                self.assertEqual(1, len(self.requests(since=since)))
                self.assertEqual(["connected"], self.kinds(agent))
                agent.stop()

    def test_a_message_for_another(self):
        """[HTTP-16] A foreign uid."""
        self.assert_lost_nothing("rcv-09-foreign-uid", "protocol", "another instance uid")

    def test_too_many_fields(self):
        """[HTTP-16] A body of legal size that would take far more to decode."""
        do = {"body": {"many_fields": 1 << 20}}
        self.assert_lost_nothing("rcv-10-many-fields", "size", do=do)

    def test_deep_nesting_and_bad_text(self):
        """[HTTP-16]"""
        for name, kind in (("rcv-10-nested", "size"), ("rcv-10-invalid-utf8", "decode")):
            with self.subTest(name):
                agent, _ = self.assert_lost_nothing(name, kind)
                agent.stop()
                self.server.delete("timeline")

    def test_a_head_without_an_end(self):
        """[HTTP-16]"""
        self.pardoned = SERVER_IS_CONTENT
        self.fault({"headers": [["X-Long", "x" * 200_000]]})
        agent = self.agent().start()
        self.assertEqual("protocol", self.failure(agent)["kind"])
        agent.wait("connected")
        self.assertEqual([["agent_description"]] * 2, [entry["parts"] for entry in self.requests()])

    def test_a_bad_answer_in_the_middle(self):
        """[HTTP-16]"""
        # given an agent whose state is confirmed
        agent = self.started()
        since = self.now()
        # when the answer to a change is a page
        self.fault_file("http-16-html")
        agent.client.set_effective_config({"a": b"1"})
        self.failure(agent)
        agent.wait("connected")
        agent.flush()
        # then just the change is told again
        self.assertEqual([["effective_config"]] * 2, [entry["parts"] for entry in self.requests(since=since)])
        self.stays_silent(self.now(), "200ms")
        self.assertEqual(NEVER, agent.snapshot()["interval_ms"])
