"""Requests that are sent as gzip."""
from stage import files
from wire import WireStage

LARGE = {"a.yaml": b"a: 1\n" * 2000}


class Compression(WireStage):
    def encodings(self, since=0):
        return [self.header(request, "Content-Encoding") for request in self.requests(since=since)]

    def client_with(self, above):
        client = self.client(options={"COMPRESS_ABOVE_BYTES": above})
        client.set_effective_config(LARGE)
        return client

    def test_nothing_is_compressed_unless_it_is_asked_for(self):
        """[HTTP-15]"""
        agent = self.started(self.client_with(0))
        agent.stop()
        self.assertEqual([[]], self.encodings()[:1])

    def test_large_requests_are_gzip_and_small_ones_plain(self):
        """[HTTP-15]"""
        agent = self.started(self.client_with(1000))
        self.exchange(agent)
        agent.stop()
        large, small = self.encodings()[:2]
        self.assertEqual((["gzip"], []), (large, small))
        self.assertEqual(LARGE["a.yaml"], files(self.messages()[0])["a.yaml"][1])
        length = int(self.header(self.requests()[0], "Content-Length")[0])
        self.assertLess(length, 1000)

    def test_a_415_turns_it_off_and_the_message_comes_plain_at_once(self):
        """[HTTP-15] without a failed try and for the rest of the run; a new run tries it again"""
        self.fault_file("http-15-unsupported-encoding")
        client = self.client_with(1000)
        agent = self.started(client)
        client.set_effective_config({"b.yaml": LARGE["a.yaml"]})
        agent.flush()
        agent.stop()
        self.assertEqual([["gzip"], [], []], self.encodings()[:3])
        self.assertNotIn("connect_failed", self.kinds(agent))
        self.assertIn("b.yaml", files(self.messages()[-2]))
        since = self.now()
        agent = self.started(client)
        agent.stop()
        self.assertEqual(["gzip"], self.encodings(since)[0])

    def test_a_400_to_gzip_is_tried_plain_at_once_too(self):
        """[HTTP-15] without a failed attempt"""
        self.fault_file("http-15-unsupported-encoding", do={"status": 400})
        agent = self.started(self.client_with(1000))
        agent.stop()
        self.assertEqual([["gzip"], []], self.encodings()[:2])
        self.assertNotIn("connect_failed", self.kinds(agent))
