"""What the host sets: identity, capabilities, values; what is refused, and what crosses unchanged."""
import ctypes
import unittest

from binding import LIB, Client, attributes, made
from callbacks import CallbackAgent
from stage import ALL, BARE, NEVER, Stage, attributes_of, fields, files, uid_text

EVERY_KIND = {
    "text": "grüße \U0001f600", "empty text": "", "yes": True, "no": False, "least": -2**63, "most": 2**63 - 1,
    "half": 0.5, "huge": 1e300, "bytes": b"\x00\xff\x80", "no bytes": b"", "nothing": None,
    "list": ["a", 1, 2.5, True, None, b"\xfe", [], {"in": [{"side": None}]}],
    "map": {"a": {"b": {"c": [1, [2, [3]]]}}, "empty": {}},
}


class Identity(Stage):
    def test_own_uids_are_uuid_v7_and_only_16_bytes_are_taken(self):
        """[SYNC-09] [RCV-16]"""
        client, other = self.client(), self.client()
        for uid in (client.uid, other.uid):
            self.assertEqual((16, 7, 0b10), (len(uid), uid[6] >> 4, uid[8] >> 6))
        self.assertNotEqual(client.uid, other.uid)
        before = client.uid
        for wrong in (b"", b"x" * 15, b"x" * 17, bytes(16)):
            self.assertEqual(LIB.constant("E_INVALID_ARG"),
                             LIB.client_set_instance_uid(client.handle, wrong, len(wrong), None), wrong)
        self.assertEqual(before, client.uid)
        mine = bytes(range(1, 17))
        self.assertEqual(0, LIB.client_set_instance_uid(client.handle, mine, 16, None))
        self.started(client)
        message = self.last_message()
        self.assertEqual(uid_text(mine), message["instance_uid"])

    def test_an_assigned_uid_is_used_for_all_that_follows(self):
        """[SYNC-10] [RCV-16] Body, header and host; the same again is no news."""
        client = self.client()
        agent = self.started(client)
        new = bytes(range(0x20, 0x30))
        self.server.next({"agent_identification": {"new_instance_uid": uid_text(new)}}, times=2)
        since = self.now()
        agent.poll_now()
        self.assertEqual(new, agent.wait("new_uid").uid)
        self.assertEqual(new, client.uid)
        self.exchange(agent)
        self.exchange(agent)
        first, *others = self.messages(since)
        self.assertNotEqual(uid_text(new), first["instance_uid"])
        self.assertGreaterEqual(len(others), 2)
        for message in others:
            self.assertEqual(uid_text(new), message["instance_uid"])
            headers = {name.lower(): value for name, value in message["_http"]["headers"]}
            self.assertEqual(uid_text(new), headers["opamp-instance-uid"])
        self.assertEqual(1, len([e for e in self.told(agent) if e.kind == "new_uid"]))

    def test_a_uid_that_is_none_is_reported_and_ignored(self):
        """[SYNC-10] [RCV-16]"""
        client = self.client()
        agent = self.started(client)
        before = client.uid
        for wrong in ("0102", "", "00" * 16, "01" * 17):
            self.server.next({"agent_identification": {"new_instance_uid_hex": wrong}})
            self.exchange(agent)
            if not any(event.kind == "warning" for event in self.told(agent)):
                # Three at once, the next one later (LOG-11).
                agent.wait("warning")
            agent.events.clear()
        self.assertEqual(before, client.uid)
        self.assertEqual({uid_text(before)}, {m["instance_uid"] for m in self.messages()})

    def test_a_uid_is_asked_for_until_one_is_assigned(self):
        """[SYNC-11] [RCV-16] Answers without a uid, or with one that is none, end nothing."""
        client = self.client()
        LIB.client_request_instance_uid(client.handle, 1, None)
        temporary = client.uid
        self.server.next({}, alone=True)
        self.server.next({"agent_identification": {"new_instance_uid_hex": "01"}}, alone=True)
        self.server.next({"agent_identification": {"new_instance_uid_hex": "00" * 16}}, alone=True)
        agent = self.started(client)
        for _ in range(2):
            self.exchange(agent)
            self.assertEqual(["RequestInstanceUid"], self.last_message()["flags"])
        # The server assigns one by itself in its usual answer.
        agent.poll_now()
        agent.wait("new_uid")
        self.exchange(agent)
        self.exchange(agent)
        asking = [m for m in self.messages() if m.get("flags")]
        self.assertEqual(4, len(asking))
        self.assertEqual({uid_text(temporary)}, {m["instance_uid"] for m in asking})
        self.assertNotEqual(temporary, client.uid)
        self.assertEqual(uid_text(client.uid), self.last_message()["instance_uid"])


class Capabilities(Stage):
    def test_nothing_that_gives_power_is_declared_by_itself(self):
        """[SYNC-22] [SYNC-13] [RCV-03] And so no offer reaches the host."""
        client = self.client(capabilities=None)
        self.server.faults({"rules": [{"times": "always", "do": {"offer_again": True}}]})
        self.server.offer({"main": b"x"})
        agent = self.started(client)
        self.exchange(agent)
        for message in self.messages():
            self.assertEqual({"ReportsStatus", "ReportsHeartbeat"}, set(message["capabilities"]))
        self.assertEqual([], [e for e in self.told(agent) if e.kind == "message"])

    def test_only_declared_parts_are_sent(self):
        """[SYNC-13] [SYNC-21]"""
        client = self.client(capabilities=("REPORTS_STATUS",))
        self.refused("E_CAPABILITY", client.set_effective_config, {"a": b"1"})
        self.refused("E_CAPABILITY", client.set_status, b"stored", "APPLIED")
        agent = self.started(client)
        self.assertEqual(BARE | {"agent_description"}, fields(self.last_message()))
        # when they are declared, what was set goes out
        client.set_capabilities("REPORTS_STATUS", "REPORTS_EFFECTIVE_CONFIG", "REPORTS_REMOTE_CONFIG")
        agent.flush()
        message = self.last_message()
        self.assertEqual({"a": ("", b"1")}, files(message))
        self.assertEqual("APPLIED", message["remote_config_status"]["status"])

    def test_changing_capabilities_reports_them_and_starts_and_stops_what_they_govern(self):
        """[SYNC-08]"""
        client = self.client()
        client.set_effective_config({"a": b"1"})
        agent = self.started(client)
        client.set_capabilities("REPORTS_STATUS")
        agent.flush()
        self.assertEqual(["ReportsStatus"], self.last_message()["capabilities"])
        # Stopped: a new value stays here, an offer is not delivered.
        self.refused("E_CAPABILITY", client.set_effective_config, {"a": b"2"})
        self.server.faults({"rules": [{"do": {"offer_again": True}}]})
        self.server.offer({"main": b"x"})
        self.assertEqual(BARE, fields(self.exchange(agent)))
        self.assertEqual([], [e for e in self.told(agent) if e.kind == "message"])
        # Started again: the newest value goes out, the offer is delivered.
        client.set_capabilities(*ALL)
        agent.flush()
        message = self.last_message()
        self.assertEqual(5, len(message["capabilities"]))
        self.assertEqual({"a": ("", b"2")}, files(message))
        agent.wait("message")

    def test_undefined_and_unbuilt_bits_and_a_mask_without_status_are_refused(self):
        """[SYNC-08] [SYNC-20]"""
        client = self.client(capabilities=("REPORTS_STATUS",))
        agent = self.started(client)
        for bits, code in ((1 | 1 << 16, "E_INVALID_ARG"), (1 | 1 << 63, "E_INVALID_ARG"), (0, "E_INVALID_ARG"),
                           (2, "E_INVALID_ARG"), (1 | LIB.constant("CAPABILITY_REPORTS_HEALTH"), "E_UNSUPPORTED")):
            self.assertEqual(LIB.constant(code), LIB.client_set_capabilities(client.handle, bits, None), bits)
        now = ctypes.c_uint64()
        LIB.client_capabilities(client.handle, ctypes.byref(now))
        self.assertEqual(1, now.value)
        self.assertEqual(["ReportsStatus"], self.exchange(agent)["capabilities"])

    def test_a_capability_without_its_handler_is_refused(self):
        """[SYNC-20] At start, and by the setter while running, which then changes nothing."""
        client = self.client()
        agent = CallbackAgent(client, NEVER, slots=("on_connect",))
        self.addCleanup(agent.free)
        error = self.refused("E_INVALID_ARG", agent.start)
        self.assertIn("on_message", error["text"])
        client.set_capabilities("REPORTS_STATUS")
        agent.start()
        agent.wait_call("on_connect")
        error = self.refused("E_INVALID_ARG", client.set_capabilities, *ALL)
        self.assertIn("on_message", error["text"])
        agent.poll_now()
        self.assertEqual(["ReportsStatus"], self.wait("messages>=2")["capabilities"])

    def test_what_the_server_does_not_accept_is_no_longer_sent(self):
        """[SYNC-14] A zero means "as before"."""
        self.server.post("capabilities", {"capabilities": ["AcceptsStatus", "OffersRemoteConfig"]})
        client = self.client()
        agent = self.started(client)
        client.set_effective_config({"a": b"1"})
        self.assertEqual(BARE, fields(self.exchange(agent)))
        self.server.post("capabilities", {"capabilities": 0})
        for _ in range(2):
            self.assertEqual(BARE, fields(self.exchange(agent)))
        self.server.post("capabilities", {"capabilities": ["AcceptsStatus", "AcceptsEffectiveConfig"]})
        since = self.now()
        self.exchange(agent)
        self.assertEqual({"a": ("", b"1")}, files(self.wait("part=effective_config", since)))


class Values(Stage):
    def test_every_kind_of_attribute_arrives_unchanged(self):
        """[SYNC-17]"""
        client = self.client()
        client.set_description(EVERY_KIND, dict(reversed(EVERY_KIND.items())))
        self.started(client)
        description = self.last_message()["agent_description"]
        for kind in ("identifying_attributes", "non_identifying_attributes"):
            told = attributes_of(description[kind])
            self.assertEqual(EVERY_KIND, told)
            self.assertEqual({key: type(value) for key, value in EVERY_KIND.items()},
                             {key: type(value) for key, value in told.items()})

    def test_a_key_set_twice_keeps_the_last_value(self):
        """[SYNC-17]"""
        handle = attributes({"a": "first", "b": 1})
        LIB.attributes_set_int(handle, b"a", 7, None)
        client = self.client()
        self.assertEqual(0, LIB.client_set_description(client.handle, handle, None, None))
        LIB.attributes_free(handle)
        self.started(client)
        pairs = self.last_message()["agent_description"]["identifying_attributes"]
        self.assertEqual([("a", {"int_value": 7}), ("b", {"int_value": 1})],
                         sorted((pair["key"], pair["value"]) for pair in pairs))

    def test_attributes_keep_the_order_and_another_order_is_no_news(self):
        """[SYNC-28] A key set again keeps its place; nested maps too."""
        client = self.client()

        def described(nested, **order):
            handle = attributes({"z": 0, **order, "map": nested})
            LIB.attributes_set_string(handle, b"z", b"again", None)
            self.assertEqual(0, LIB.client_set_description(client.handle, handle, None, None))
            LIB.attributes_free(handle)

        described({"y": 1, "b": 2}, m=1, a=2)
        agent = self.started(client)
        pairs = self.last_message()["agent_description"]["identifying_attributes"]
        self.assertEqual(["z", "m", "a", "map"], [pair["key"] for pair in pairs])
        told = attributes_of(pairs)
        self.assertEqual("again", told["z"])
        self.assertEqual(["y", "b"], list(told["map"]))
        # when the same is set in another order, then no message has news
        since = self.now()
        described({"b": 2, "y": 1}, a=2, m=1)
        self.exchange(agent)
        self.assertEqual([BARE], [fields(message) for message in self.messages(since)])
        # and one value that differs is news
        described({"b": 2, "y": 3}, a=2, m=1)
        agent.flush()
        self.assertEqual(BARE | {"agent_description"}, fields(self.last_message()))

    def test_files_cross_in_both_directions_byte_for_byte(self):
        """[SYNC-18]"""
        sent = {"": ("", b""), "main.yaml": ("text/yaml", b"a: 1\n"),
                "bin": ("application/octet-stream", bytes(range(256))), "grüße/\U0001f600 .x": ("", b"\xff" * 3), "large": ("", bytes(range(256)) * 8192)}
        client = self.client()
        agent = self.started(client)
        self.server.offer(sent, hash_hex="00ff10")
        agent.poll_now()
        offer = agent.wait("message")
        self.assertEqual(sent, offer.files)
        self.assertEqual(b"\x00\xff\x10", offer.hash)
        client.set_effective_config(offer.files)
        agent.apply(offer)
        agent.flush()
        since_first = self.wait("part=effective_config")
        self.assertEqual(sent, files(since_first))
        self.wait("status=APPLIED:00ff10")

    def test_the_same_name_twice_is_refused(self):
        """[SYNC-18]"""
        handle = made(LIB.config_map_new)
        self.assertEqual(0, LIB.config_map_add(handle, b"a", 1, None, b"1", 1, None))
        self.assertEqual(LIB.constant("E_INVALID_ARG"), LIB.config_map_add(handle, b"a", 1, None, b"2", 1, None))
        client = self.client()
        LIB.client_set_effective_config(client.handle, handle, None)
        LIB.config_map_unref(handle)
        self.started(client)
        self.assertEqual({"a": ("", b"1")}, files(self.last_message()))

    def test_a_description_without_attributes_is_refused(self):
        """[SYNC-19]"""
        client = Client(self.server.endpoint, description=False)
        self.addCleanup(client.unref)
        agent = self.agent(client)
        self.assertIn("description", self.refused("E_INVALID_ARG", agent.start)["text"])
        self.refused("E_INVALID_ARG", client.set_description, {}, {})
        self.assertEqual(LIB.constant("E_INVALID_ARG"), LIB.client_set_description(client.handle, None, None, None))
        # Either kind alone is enough.
        client.set_description({}, {"os.type": "linux"})
        agent.start()
        agent.wait("connected")

    def test_a_status_needs_a_hash_and_an_error_text_goes_with_failed_only(self):
        """[SYNC-23] What is refused sends nothing."""
        client = self.client()
        agent = self.started(client)
        for state in ("APPLYING", "APPLIED", "FAILED"):
            self.refused("E_INVALID_ARG", client.set_status, b"", state)
        for state in ("APPLYING", "APPLIED", "UNSET"):
            self.refused("E_INVALID_ARG", client.set_status, b"h", state, "why")
        for state in (4, -1):
            self.refused("E_INVALID_ARG", client.set_status, b"h", state)
        self.assertEqual(BARE, fields(self.exchange(agent)))
        client.set_status(b"h", "FAILED", "why")
        agent.flush()
        status = self.last_message()["remote_config_status"]
        self.assertEqual(("FAILED", "why"), (status["status"], status["error_message"]))

    def test_an_error_text_is_mended_and_cut_and_never_keeps_its_status(self):
        """[SYNC-23] Latin-1, a character cut in two, NUL, and more than any message holds."""
        client = self.client()
        agent = self.started(client)
        long = "\u20ac" * 30_000_000
        for text, sent in [
            (b"caf\xe9", "caf\ufffd"), (b"cut \xe2\x82", "cut \ufffd"), (b"a\0b", "a\ufffdb"),
            (long.encode(), "\u20ac" * 2728 + " [cut]"),
        ]:
            client.set_status(b"h", "FAILED", text)
            agent.flush()
            self.assertEqual(sent, self.last_message()["remote_config_status"]["error_message"])


class Budget(Stage):
    def test_changes_leave_as_a_burst_and_then_one_by_one(self):
        """[SYNC-25] The newest value wins, verdicts are exempt."""
        client = self.client(options={"CHANGE_BURST": 3, "CHANGE_INTERVAL_MS": 1500})
        agent = self.started(client)
        self.server.offer({"main": b"x"})
        # the first report and this poll have used two of three
        agent.poll_now()
        offer = agent.wait("message")
        client.set_effective_config({"n": b"0"})
        agent.flush()
        since = self.now()
        for number in range(1, 200):
            client.set_effective_config({"n": str(number).encode()})
        self.until(lambda: agent.snapshot().get("next_reason") == "change")
        # when the host gives its verdict meanwhile
        agent.apply(offer, "APPLYING")
        applying = self.wait("status=APPLYING", since, timeout="1s")
        for number in range(200, 300):
            client.set_effective_config({"n": str(number).encode()})
        agent.flush()
        told = [files(m)["n"][1] for m in self.messages(since) if "effective_config" in m["_parts"]]
        self.assertEqual(b"299", told[-1])
        self.assertLessEqual(len(told), 3)
        last = self.last_message()
        self.assertGreaterEqual(last["_at_ms"] - applying["_at_ms"], 500)

    def test_a_flapping_value_is_ten_messages_and_then_one_a_second(self):
        """[SYNC-25] As shipped."""
        client = self.client(options={"CHANGE_INTERVAL_MS": 1000})
        agent = self.started(client)
        count = 0
        while agent.snapshot().get("next_reason") != "change":
            count += 1
            self.assertLess(count, 30_000)
            client.set_effective_config({"n": str(count).encode()})
        held = self.now()
        self.assertLessEqual(len(self.messages()), 11)
        self.assertGreaterEqual(len(self.messages()), 9)
        first = self.wait("part=effective_config", held)
        client.set_effective_config({"n": b"last"})
        second = self.wait("part=effective_config", first["_index"] + 1)
        self.assertEqual({"n": ("", b"last")}, files(second))
        self.assertGreaterEqual(second["_at_ms"] - first["_at_ms"], 900)


if __name__ == "__main__":
    unittest.main()
