"""What a plain HTTP request is, and that there is never more than one."""
import threading

from binding import Client
from stage import NEVER, uid_text
from wire import WireStage

NEW_UID = "018f3c6e-7c00-7000-8000-0000000000aa"


class Requests(WireStage):
    def test_each_exchange_is_a_post_of_one_message(self):
        """[HTTP-01]"""
        # given an agent that reports, polls and says goodbye
        agent = self.started()
        self.exchange(agent)
        agent.stop()
        # then each request is a POST of one AgentToServer under its content type
        entries = self.requests()
        self.assertEqual(3, len(entries))
        for entry in entries:
            self.assertEqual("POST", entry["http"]["method"])
            self.assertEqual(["application/x-protobuf"], self.header(entry, "content-type"))
            self.assertEqual([str(entry["size"])], self.header(entry, "content-length"))
            self.assertEqual(uid_text(agent.client.uid), entry["message"]["instance_uid"])

    def test_an_empty_answer_is_an_empty_message(self):
        """[HTTP-01]"""
        # given a server whose first answer has no body
        self.fault_file("http-19-empty-200")
        # when an agent reports
        agent = self.started()
        # then the report is confirmed: the next message repeats nothing
        self.assertEqual([], self.exchange(agent)["_parts"])
        self.assertNotIn("connect_failed", self.kinds(agent))

    def test_the_header_names_the_uid_of_the_body(self):
        """[HTTP-02]"""
        # given a server that assigns another uid with its second answer
        agent = self.started()
        first = uid_text(agent.client.uid)
        self.server.next({"agent_identification": {"new_instance_uid": NEW_UID}})
        agent.poll_now()
        self.assertEqual(NEW_UID, uid_text(agent.wait("new_uid").uid))
        # when the next message leaves
        self.exchange(agent)
        # then header and body agree in each message, right after the change too
        told = [(self.header(e, "OpAMP-Instance-UID"), e["message"]["instance_uid"]) for e in self.requests()]
        self.assertEqual([([uid], uid) for uid in [first, first] + [NEW_UID] * (len(told) - 2)], told)
        self.assertGreater(len(told), 2)

    def test_gzip_is_asked_for_and_undone(self):
        """[HTTP-04]"""
        # given a server that compresses its answers, with a body that gzip makes small
        body = b"setting: value\n" * 10_000
        self.server.offer({"main.yaml": ("text/yaml", body)})
        self.fault_file("http-04-gzip-answer")
        # when an agent is offered a configuration
        agent = self.agent().start()
        offer = agent.wait("message")
        # then it arrives byte for byte
        self.assertEqual({"main.yaml": ("text/yaml", body)}, offer.files)
        sent = self.wait_entry(kind="sent", parts=["remote_config"])
        encodings = [value for name, value in sent["http"]["headers"] if name.lower() == "content-encoding"]
        self.assertEqual(["gzip"], encodings)
        for entry in self.requests():
            self.assertEqual(["gzip"], self.header(entry, "accept-encoding"))

    def test_what_comes_up_meanwhile_leaves_after_the_answer(self):
        """[HTTP-06]"""
        # given an exchange whose answer takes its time
        agent = self.started()
        since = self.now()
        self.fault_file("http-06-slow-answer")
        agent.poll_now()
        self.server.wait("requests>=1", since=since)
        # when the host changes things meanwhile
        for number in range(5):
            agent.client.set_description({"service.name": "conformance", "number": number})
            agent.client.set_effective_config({"a": b"%d" % number})
        agent.flush()
        # then one message with the newest of all follows the answer at once; the next poll is far away
        poll, news = self.wait_requests(2, since)
        sent = [e for e in self.answers() if e["index"] > poll["index"]]
        self.assertEqual(["agent_description", "effective_config"], sorted(news["parts"]))
        self.assertEqual("4", news["message"]["effective_config"]["config_map"]["config_map"]["a"]["body"])
        self.assertGreaterEqual(news["at_ms"], sent[0]["at_ms"])
        self.assertLess(news["at_ms"] - sent[0]["at_ms"], 2000)
        self.assertEqual(2, len(self.requests(since=since)))

    def test_never_two_requests_at_a_time(self):
        """[HTTP-06]"""
        # given answers that take a moment
        client = self.client(options={"CHANGE_BURST": 1000})
        agent = self.started(client)
        self.fault({"wait": "10ms"}, times="always")

        # when many threads want messages all the time
        enough = threading.Event()

        def change(number):
            turn = 0
            while not enough.is_set():
                client.set_description({"service.name": "conformance", "turn": f"{number}.{turn}"})
                agent.poll_now()
                turn += 1
        threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            self.server.wait("requests>=20")
        finally:
            enough.set()
            for thread in threads:
                thread.join()
        agent.flush()
        # then requests and answers alternate, on one connection
        kinds = [e["kind"] for e in self.server.timeline(limit=100_000) if e["kind"] in ("received", "sent")]
        self.assertEqual(["received", "sent"] * (len(kinds) // 2), kinds)
        self.assertEqual(1, len(self.connections()))


class Targets(WireStage):
    def started_at(self, target):
        client = Client(self.server.endpoint.removesuffix("/v1/opamp") + target)
        self.addCleanup(client.unref)
        agent = self.agent(client, NEVER).start()
        agent.wait("connected")
        return self.requests()[0]["http"]["path"]

    def test_requests_go_to_the_endpoint_as_given(self):
        """[HTTP-17]"""
        for target, asked in [
            ("/v1/opamp", "/v1/opamp"),
            ("/some/where?tenant=a%2Fb&x=1", "/some/where?tenant=a%2Fb&x=1"),
            ("/trailing/", "/trailing/"),
            ("//double/../dots", "//double/../dots"),
            ("/", "/"),
            ("", "/"),
            ("?only=query", "/?only=query"),
        ]:
            with self.subTest(target):
                self.assertEqual(asked, self.started_at(target))
                self.server.delete("timeline")

    def test_no_other_endpoint_is_taken(self):
        """[HTTP-17]"""
        client = self.client()
        for endpoint, fact in [
            ("ftp://127.0.0.1/v1/opamp", "scheme"),
            ("file:///etc/passwd", "scheme"),
            ("htp://127.0.0.1/", "scheme"),
            ("unix:///run/opamp.sock", "scheme"),
            ("127.0.0.1:4320/v1/opamp", "did you mean http://127.0.0.1:4320/v1/opamp?"),
            ("", "scheme"),
            ("/v1/opamp", "scheme"),
            ("http://", "host"),
            ("http:///v1/opamp", "host"),
            ("http://:4320/v1/opamp", "host"),
            ("http://127.0.0.1:0/", "port"),
            ("http://127.0.0.1:65536/", "port"),
            ("http://127.0.0.1:http/", "port"),
            ("http://127.0.0.1/a b", "a blank behind 18 characters"),
            (" http://127.0.0.1/", "did you mean http://127.0.0.1/?"),
            ("http://::1:4320/", "did you mean http://[::1]:4320/?"),
            ("http://m\u00fcll.example/", "xn--"),
            ("http://127.0.0.1/a\r\nX: y", "a line break"),
            ("http://[::1/v1/opamp", "IPv6 address"),
            ("http://127.0.0.1/#part", "fragment"),
            ("http://agent@127.0.0.1/v1/opamp", "user info"),
            ("http://agent:pa55word@127.0.0.1/v1/opamp", "user info"),
            ("https://:pa55word@127.0.0.1/v1/opamp", "user info"),
        ]:
            with self.subTest(endpoint):
                # when it is set, at birth or later, then it is refused with the reason and without the password
                errors = [self.refused("E_INVALID_ARG", call, endpoint) for call in (Client, client.set_endpoint)]
                for error in errors:
                    self.assertEqual("argument", error["kind"])
                    self.assertIn(fact, error["text"])
                    self.assertNotIn("pa55word", error["text"])
        # and nothing has changed
        agent = self.started(client)
        self.assertEqual("/v1/opamp", self.requests()[0]["http"]["path"])
        self.refused("E_STATE", client.set_endpoint, self.server.endpoint)
        agent.stop()
