"""What OpenTelemetry Python's own client does wrong, and this one does right: one test for each."""
import gc
import threading
import tracemalloc
import unittest
from unittest import mock

from kit import PATIENCE_S, Devserver, Recorder, client_of, log_lines, running

from opamp import OpAMPAgent, OpAMPClient
from opamp.proto import opamp_pb2


class OnTheWire(unittest.TestCase):
    def test_messages_that_were_built_at_once_leave_with_numbers_without_a_gap(self):
        """[SYNC-01] A number fixed when a message is built would be 0, 0, 0."""
        with Devserver() as server:
            client, ends = client_of(server.endpoint), threading.Semaphore(0)
            built = [client.build_heartbeat_message(), client.build_full_state_message(), client.build_heartbeat_message()]
            with running(client) as agent:
                for payload in built:
                    agent.send(payload, callback=ends.release)
                for _ in built:
                    self.assertTrue(ends.acquire(timeout=PATIENCE_S))
            server.wait("disconnected")
            numbers = [entry["sequence_number"] for entry in server.timeline(kind="received")]
            self.assertEqual(numbers, list(range(len(numbers))))
            self.assertEqual(server.problems(), [])

    def test_two_stops_and_a_built_goodbye_make_one_disconnect_as_the_last_message(self):
        """[LIFE-01]"""
        with Devserver() as server:
            client, callbacks = client_of(server.endpoint), Recorder()
            with running(client, callbacks) as agent:
                callbacks.next("message")
                agent.send(client.build_agent_disconnect_message())
                server.wait("messages>=2")
                agent.stop()
                agent.stop()
            server.wait("disconnected")
            received = ["agent_disconnect" in entry["message"] for entry in server.timeline(kind="received")]
            self.assertEqual(received, [False] * (len(received) - 1) + [True])

    def test_a_heartbeat_is_counted_from_the_last_message_and_never_piles_up_behind_a_slow_answer(self):
        """[HTTP-05]"""
        with Devserver() as server:
            server.faults({"rules": [{"times": 3, "do": {"wait": "600ms"}}]})
            with running(client_of(server.endpoint), interval=0.2):
                server.wait("messages>=6")
            gaps = [entry["gap_ms"] for entry in server.timeline(kind="received") if "gap_ms" in entry and "agent_disconnect" not in entry["message"]]
            self.assertGreaterEqual(min(gaps), 100)

    def test_a_retry_after_is_kept(self):
        """[HTTP-10]"""
        with Devserver() as server:
            server.faults({"rules": [{"do": {"status": 503, "retry_after": 2}}]})
            client, callbacks = client_of(server.endpoint), Recorder()
            with running(client, callbacks, interval=0.2) as agent:
                error = callbacks.next("connect_failed")[1]
                agent.poll_now()
                agent.send(client.build_heartbeat_message())
                snapshot = agent.snapshot()
            self.assertEqual(error.http_status, 503)
            self.assertGreaterEqual(error.retry_in, 2)
            self.assertEqual((snapshot["state"], snapshot["next_reason"], snapshot["attempts"]), ("waiting", "retry_after", 1))

    def test_a_message_that_was_given_up_is_reported_when_the_server_is_back(self):
        """[SYNC-08] What was sent is state: a number of tries bounds only what `send` tells."""
        with Devserver() as server:
            server.offer({"a": b"1"})
            client, callbacks, ended = client_of(server.endpoint), Recorder(), threading.Event()
            with running(client, callbacks, initial_backoff=0) as agent:
                offer = callbacks.offer()
                server.faults({"rules": [{"times": 3, "do": {"status": 500}}]})
                status = client.update_remote_config_status(offer.config_hash, opamp_pb2.RemoteConfigStatuses_APPLIED)
                agent.send(client.build_remote_config_status_response_message(status), max_retries=0, callback=ended.set)
                self.assertTrue(ended.wait(PATIENCE_S))
                server.wait("status=APPLIED:offered", timeout="30s")


class WallClock(unittest.TestCase):
    def test_a_clock_before_1970_prevents_no_client(self):
        with mock.patch("time.time", return_value=-86_400.5):
            client = OpAMPClient(endpoint="http://127.0.0.1:1", agent_identifying_attributes={"service.name": "shop"})
        self.assertEqual(client.instance_uid[:6], bytes(6))


class State(unittest.TestCase):
    def test_list_and_map_attributes_reach_the_server(self):
        """[SYNC-23] They raised ValueError."""
        values = {"service.name": "shop", "list": ["a", 1, 2.5, True, None, b"\xff", {"k": "v"}], "map": {"a": {"b": [1]}}}
        with Devserver() as server:
            with running(client_of(server.endpoint, agent_identifying_attributes=values)):
                entry = server.wait("full")["entry"]
        sent = {each["key"]: each.get("value") for each in entry["message"]["agent_description"]["identifying_attributes"]}
        self.assertEqual(sent["list"]["array_value"]["values"][:2], [{"string_value": "a"}, {"int_value": 1}])
        self.assertEqual(sent["list"]["array_value"]["values"][6]["kvlist_value"]["values"][0]["key"], "k")
        self.assertEqual(sent["map"]["kvlist_value"]["values"][0]["key"], "a")
        with self.assertRaises(ValueError):
            client_of("url", agent_identifying_attributes={"a": object()})

    def test_a_text_of_any_kind_keeps_no_status_from_the_server(self):
        """[SYNC-23] A NUL raised after the status was kept, and the next call returned None."""
        texts = [("a\0b", "a\ufffdb"), (b"caf\xe9", "caf\ufffd"), ("lone \udc80", "lone \ufffd"), ("\u20ac" * 9000, "\u20ac" * 2728 + " [cut]")]
        with Devserver() as server:
            server.offer({"a": b"1"})
            client, callbacks = client_of(server.endpoint), Recorder()
            with running(client, callbacks) as agent:
                hash_ = callbacks.offer().config_hash
                for given, sent in texts:
                    self.assertEqual(client.update_remote_config_status(hash_, opamp_pb2.RemoteConfigStatuses_FAILED, given).error_message, sent)
                    self.assertTrue(agent.flush(PATIENCE_S))
                    entry = server.timeline(kind="received", part="remote_config_status")[-1]
                    self.assertEqual(entry["message"]["remote_config_status"]["error_message"], sent)

    def test_a_status_that_can_not_be_reported_is_refused_before_it_is_kept(self):
        """[SYNC-23] Status 99 and hash None were kept and never left."""
        client = client_of("http://127.0.0.1:9/")
        for wrong, arguments in [
            (ValueError, (b"h", 99)), (ValueError, (b"h", 0)), (TypeError, (b"h", "FAILED")), (TypeError, (None, 1)), (TypeError, ("h", 1)),
            (ValueError, (b"", 1)), (TypeError, (b"h", 3, None)), (TypeError, (b"h", 3, 7)), (TypeError, (None, 0)), (ValueError, (b"h", -1)),
        ]:
            with self.subTest(arguments), self.assertRaises(wrong):
                client.update_remote_config_status(*arguments)
        status = client.update_remote_config_status(bytearray(b"h"), 1, "no failure, no text")
        self.assertEqual((status.last_remote_config_hash, status.error_message), (b"h", ""))

    def test_unset_under_a_kept_uid_is_offered_again(self):
        """[LOG-05] A server remembers a status by the instance uid: without this it never offered again."""
        with Devserver() as server:
            server.offer({"a": b"1"})
            first, callbacks = client_of(server.endpoint), Recorder()
            with running(first, callbacks) as agent:
                hash_ = callbacks.offer().config_hash
                first.update_remote_config_status(hash_, opamp_pb2.RemoteConfigStatuses_APPLIED)
                self.assertTrue(agent.flush(PATIENCE_S))
            again, callbacks = client_of(server.endpoint, instance_uid=first.instance_uid), Recorder()
            self.assertEqual(again.update_remote_config_status(b"", opamp_pb2.RemoteConfigStatuses_UNSET).status, 0)
            with running(again, callbacks):
                self.assertEqual(callbacks.offer().config_hash, hash_)

    def test_a_nul_in_an_attribute_names_its_key(self):
        for values, key in [({"a\0b": 1}, "'a\\x00b'"), ({"where": "a\0b"}, "'where'"), ({"list": [{"in": "\0"}]}, "'in'")]:
            with self.subTest(values), self.assertRaisesRegex(ValueError, "agent_identifying_attributes.*" + key.replace("\\", "\\\\")):
                client_of("url", agent_identifying_attributes=values)

    def test_updates_are_reported_without_a_send(self):
        """[SYNC-18] They were only stored."""
        with Devserver() as server:
            server.offer({"a.json": ("application/json", b"1")})
            client, callbacks = client_of(server.endpoint), Recorder()
            with running(client, callbacks):
                hash_ = callbacks.offer().config_hash
                client.update_effective_config({"a.json": 1}, "application/json")
                client.update_remote_config_status(hash_, opamp_pb2.RemoteConfigStatuses_APPLIED)
                server.wait("status=APPLIED:offered")
                server.wait("effective=offered")
                self.assertIsNone(client.update_remote_config_status(hash_, opamp_pb2.RemoteConfigStatuses_APPLIED))

    def test_a_whole_state_after_an_update_does_not_carry_the_configuration_again(self):
        """[SYNC-08] The old usage sends both, however large it is; another one in such a message counts."""
        with Devserver() as server:
            client = client_of(server.endpoint)
            with running(client) as agent:
                agent.flush(PATIENCE_S)
                client.update_effective_config({"a": "once"}, "text/plain")
                self.assertTrue(agent.flush(PATIENCE_S))
                whole = client.build_full_state_message()
                self.assertNotIn(b"once", agent._sends._news(whole))
                agent.send(whole)
                self.assertTrue(agent.flush(PATIENCE_S))
                other = opamp_pb2.AgentToServer()
                other.effective_config.config_map.config_map["a"].body = b"other"
                agent.send(other)
                self.assertTrue(agent.flush(PATIENCE_S))
                client.update_effective_config({"a": "once"}, "text/plain")
                self.assertTrue(agent.flush(PATIENCE_S))
            reported = [entry["message"]["effective_config"]["config_map"]["config_map"]["a"]["body"]
                        for entry in server.timeline(kind="received") if "effective_config" in entry["message"]]
        self.assertEqual(reported, ["once", "other", "once"])

    def test_what_overridden_builders_add_is_reported_at_start_and_at_each_interval(self):
        """[SYNC-08] A distribution reports so; what this release can not report is told once and left out."""
        class Client(OpAMPClient):
            beats = 0

            def build_full_state_message(self):
                message = opamp_pb2.AgentToServer.FromString(super().build_full_state_message())
                message.agent_description.non_identifying_attributes.add(key="built").value.string_value = "full"
                return message.SerializeToString()

            def build_heartbeat_message(self):
                self.beats += 1
                message = opamp_pb2.AgentToServer.FromString(super().build_heartbeat_message())
                message.health.healthy = True
                message.effective_config.config_map.config_map["beat"].body = b"%d" % min(self.beats, 2)
                return message.SerializeToString()

        with Devserver() as server, log_lines() as lines:
            with running(client_of(server.endpoint, Client), interval=0.3):
                for beat in "12":
                    server.wait("match=" + '{"kind":"received","message":{"effective_config":{"config_map":{"config_map":{"beat":{"body":"%s"}}}}}}' % beat)
                server.wait('match={"message":{"agent_description":{"non_identifying_attributes":[{"key":"built"}]}}}')
                server.wait("heartbeats>=2")
            self.assertEqual(len([line for line in lines if "health" in line]), 1, lines)
            numbers = [entry["sequence_number"] for entry in server.timeline(kind="received")]
            self.assertEqual(numbers, list(range(len(numbers))))

    def test_a_part_that_is_not_reported_takes_no_other_with_it(self):
        with Devserver() as server, log_lines():
            with running(client_of(server.endpoint)) as agent:
                message = opamp_pb2.AgentToServer()
                message.health.healthy = True
                message.effective_config.config_map.config_map["a"].body = b"beside it"
                agent.send(message)
                server.wait('match={"message":{"effective_config":{"config_map":{"config_map":{"a":{"body":"beside it"}}}}}}')

    def test_a_started_agent_starts_again_after_stop(self):
        """[LIFE-05]"""
        with Devserver() as server:
            client = client_of(server.endpoint)
            agent = OpAMPAgent(callbacks=Recorder(), client=client)
            agent.stop()
            for round_ in (1, 2):
                agent.start()
                with self.assertRaises(RuntimeError):
                    agent.start()
                server.wait(f"messages>={2 * round_ - 1}")
                agent.stop()
            self.assertEqual(len({entry["agent"] for entry in server.timeline(kind="received")}), 1)
            self.assertEqual(server.problems(), [])


class HostileServers(unittest.TestCase):
    def test_garbage_is_a_failed_try_and_the_agent_goes_on(self):
        """[RCV-07]"""
        with Devserver() as server:
            server.post("next", {"raw_hex": "ffffffff", "times": 2})
            callbacks = Recorder()
            with running(client_of(server.endpoint), callbacks):
                self.assertEqual(callbacks.next("connect_failed")[1].kind, "decode")
                callbacks.next("connect")
                callbacks.next("message")

    def test_no_payload_and_no_secret_is_logged(self):
        """[LOG-03]"""
        with Devserver() as server, log_lines() as lines:
            server.offer({"a": b"SECRET-BODY"})
            server.next({"error_response": {"type": "BadRequest", "error_message": "no"}}, alone=True)
            endpoint = server.endpoint.replace("http://", "http://user:SECRET-PASSWORD@")
            callbacks = Recorder()
            with running(client_of(endpoint, headers={"X-Key": "SECRET-HEADER"}), callbacks) as agent:
                callbacks.next("error")
                agent.poll_now()
                offer = callbacks.offer()
            self.assertIn(b"SECRET-BODY", offer.SerializeToString())
            self.assertTrue(lines)
            self.assertNotIn("SECRET", "\n".join(lines) + repr(offer))

    def test_the_password_of_a_url_becomes_a_header(self):
        """[HTTP-03]"""
        with Devserver() as server:
            with running(client_of(server.endpoint.replace("http://", "http://us%65r:pass@"))):
                head = dict(server.wait("full")["entry"]["http"]["headers"])
        self.assertEqual({name.lower(): value for name, value in head.items()}["authorization"], "Basic dXNlcjpwYXNz")


class Bounds(unittest.TestCase):
    def test_what_is_sent_while_no_agent_runs_or_a_callback_blocks_takes_no_more_room(self):
        """[LIFE-09] The queue of stale bytes had no bound; here the newest of each part waits, and nothing else is kept."""
        with Devserver() as server:
            inside, leave = threading.Event(), threading.Event()

            class Blocking(Recorder):
                def on_message(self, agent, client, message):
                    inside.set()
                    leave.wait(PATIENCE_S)

            client = client_of(server.endpoint)
            agent = OpAMPAgent(callbacks=Blocking(), client=client)

            def send(body):
                client.update_effective_config({"a": body}, "text/plain")
                agent.send(client.build_full_state_message())

            def growth(of):
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
                for n in range(300):
                    send(f"{of} {n}".ljust(10_000))
                gc.collect()
                return tracemalloc.get_traced_memory()[0] - before

            send("once, so that all is imported")
            tracemalloc.start()
            try:
                self.assertLess(growth("before the start"), 200_000)
                agent.start()
                self.assertTrue(inside.wait(PATIENCE_S))
                self.assertLess(growth("behind a callback"), 200_000)
            finally:
                tracemalloc.stop()
                leave.set()
            last = "behind a callback 299".ljust(10_000)
            server.wait('match={"message":{"effective_config":{"config_map":{"config_map":{"a":{"body":"%s"}}}}}}' % last)
            agent.stop()


if __name__ == "__main__":
    unittest.main()
