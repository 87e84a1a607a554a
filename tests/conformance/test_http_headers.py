"""The headers of a request: ours, and the host's."""
from binding import LIB, call
from wire import WireStage

VERSION = LIB.version().decode()


class Headers(WireStage):
    def prefix(self, client, text):
        call(LIB.client_set_user_agent_prefix, client.handle, text and text.encode())

    def test_the_user_agent_names_the_library(self):
        """[HTTP-03]"""
        self.started()
        self.assertEqual([f"libopamp/{VERSION}"], self.header(self.requests()[0], "user-agent"))

    def test_the_host_may_put_its_name_before(self):
        """[HTTP-03]"""
        client = self.client()
        self.prefix(client, "my-agent/1.2 (linux)")
        agent = self.started(client)
        self.assertEqual([f"my-agent/1.2 (linux) libopamp/{VERSION}"],
                         self.header(self.requests()[0], "user-agent"))
        self.refused("E_STATE", self.prefix, client, None)
        agent.stop()
        self.prefix(client, None)
        since = self.now()
        self.started(client)
        self.assertEqual([f"libopamp/{VERSION}"], self.header(self.requests(since=since)[0], "user-agent"))

    def test_a_header_of_that_name_replaces_it_whole(self):
        """[HTTP-03]"""
        client = self.client()
        self.prefix(client, "my-agent/1.2")
        client.set_header("user-agent", "mine alone")
        self.started(client)
        self.assertEqual(["mine alone"], self.header(self.requests()[0], "User-Agent"))

    def test_host_headers_are_on_every_request(self):
        """[HTTP-03]"""
        # given two headers
        client = self.client()
        client.set_header("Authorization", "Bearer one")
        client.set_header("X-Tenant", "a, b; c=\"d\"")
        agent = self.started(client)
        # when one is renewed, one is taken away and one is new while the agent runs
        client.set_header("AUTHORIZATION", "Bearer two")
        client.set_header("x-tenant", None)
        client.set_header("X-New", "")
        self.exchange(agent)
        # and the agent says goodbye
        agent.stop()
        # then each request has what was set when it left, over one kept connection
        first, *later = self.requests()
        self.assertEqual([["Bearer one"], ['a, b; c="d"'], []],
                         [self.header(first, name) for name in ("Authorization", "X-Tenant", "X-New")])
        self.assertGreaterEqual(len(later), 2)
        for entry in later:
            self.assertEqual([["Bearer two"], [], [""]],
                             [self.header(entry, name) for name in ("Authorization", "X-Tenant", "X-New")])
        self.assertEqual(1, len(self.connections()))

    def test_a_new_header_is_on_the_retry(self):
        """[HTTP-03]"""
        # given a server that is away
        self.server.post("listen", {"listening": False})
        client = self.client(options={"BACKOFF_MAX_MS": 20})
        client.set_header("Authorization", "Bearer stale")
        agent = self.agent(client).start()
        agent.wait("connect_failed")
        # when the token is renewed before it comes back
        client.set_header("Authorization", "Bearer fresh")
        self.server.post("listen", {"listening": True})
        agent.wait("connected")
        # then the server never sees the old one
        self.assertEqual({"Bearer fresh"}, {self.header(e, "authorization")[0] for e in self.requests()})

    def test_what_would_break_a_request_is_refused(self):
        """[HTTP-03]"""
        client = self.client()
        for name, value in [
            ("", "x"), ("a b", "x"), ("a:", "x"), ("a\r\nb", "x"), ("\u00e4", "x"),
            ("X-Split", "a\r\nX-Other: b"), ("X-Nul", "a\x01b"), ("X-Feed", "a\nb"),
            ("Content-Type", "text/plain"), ("content-length", "0"), ("Transfer-Encoding", "chunked"),
            ("Content-Encoding", "gzip"), ("Connection", "close"), ("Expect", "100-continue"),
            ("OpAMP-Instance-UID", "018f3c6e-7c00-7000-8000-000000000001"), ("Upgrade", "websocket"),
        ]:
            with self.subTest(name=name, value=value):
                error = self.refused("E_INVALID_ARG", client.set_header, name, value)
                self.assertEqual("argument", error["kind"])
                self.assertNotIn(value, error["text"].split() if len(value) < 3 else error["text"])
        for prefix in ["a\r\nb", "\x7f"]:
            self.refused("E_INVALID_ARG", self.prefix, client, prefix)
        # and the request is as if nothing had been tried
        self.started(client)
        names = [name.lower() for name, _ in self.requests()[0]["http"]["headers"]]
        self.assertEqual(sorted(["host", "content-length", "content-type", "accept-encoding", "user-agent",
                                 "opamp-instance-uid"]), sorted(names))
