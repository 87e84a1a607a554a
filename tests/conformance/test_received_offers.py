"""Remote configurations: delivered once, answered once, told apart."""
import time
import unittest

from binding import LIB
from stage import BARE, Stage, fields


def statuses(messages):
    told = [m["remote_config_status"] for m in messages if "remote_config_status" in m]
    return [(s["status"], bytes.fromhex(s.get("last_remote_config_hash", "")), s.get("error_message", "")) for s in told]


class Offers(Stage):
    def offers(self, agent):
        return [e for e in self.told(agent) if e.kind == "message"]

    def take(self, agent, files, hash_=None):
        self.server.offer(files, hash_ and hash_.hex())
        agent.poll_now()
        return agent.wait("message")

    def test_an_offer_is_delivered_once_and_answered_with_its_hash(self):
        """[RCV-03] [LOG-05] Each word of the host is reported exactly once."""
        agent = self.started()
        self.server.faults({"rules": [{"times": "always", "do": {"offer_again": True}}]})
        offer = self.take(agent, {"main": b"x"}, b"h1")
        self.assertEqual(b"h1", offer.hash)
        self.exchange(agent)
        for state in ("APPLYING", "APPLIED"):
            agent.apply(offer, state)
            agent.flush()
        self.exchange(agent)
        self.assertEqual(1, len(self.offers(agent)))
        self.assertEqual([("APPLYING", b"h1", ""), ("APPLIED", b"h1", "")], statuses(self.messages()))
        # and a failure with its text
        offer = self.take(agent, {"main": b"y"}, b"h2")
        agent.apply(offer, "FAILED", "line 3: no such receiver")
        agent.flush()
        self.exchange(agent)
        self.assertEqual(("FAILED", b"h2", "line 3: no such receiver"), statuses(self.messages())[-1])
        self.assertEqual(2, len(self.offers(agent)))
        self.assertEqual(3, len(statuses(self.messages())))

    def test_without_its_capability_an_offer_is_neither_delivered_nor_answered(self):
        """[RCV-03]"""
        agent = self.started(capabilities=("REPORTS_STATUS", "REPORTS_REMOTE_CONFIG"))
        self.server.faults({"rules": [{"times": "always", "do": {"offer_again": True}}]})
        self.server.offer({"main": b"x"})
        self.exchange(agent)
        self.assertEqual(BARE, fields(self.exchange(agent)))
        self.assertEqual([], self.offers(agent))

    def test_without_reporting_the_verdict_stays_here(self):
        """[RCV-03] [SYNC-13]"""
        client = self.client(capabilities=("REPORTS_STATUS", "ACCEPTS_REMOTE_CONFIG"))
        agent = self.started(client)
        offer = self.take(agent, {"main": b"x"})
        self.refused("E_CAPABILITY", agent.apply, offer)
        self.assertEqual(BARE, fields(self.exchange(agent)))

    def test_what_was_applied_before_is_confirmed_without_the_host(self):
        """[RCV-04] An APPLYING or FAILED of another offer lies between."""
        agent = self.started()
        agent.apply(self.take(agent, {"main": b"good"}, b"good"))
        agent.flush()
        agent.apply(self.take(agent, {"main": b"bad"}, b"bad"), "FAILED", "no")
        agent.flush()
        since = self.now()
        self.server.offer({"main": b"good"}, b"good".hex())
        agent.poll_now()
        self.wait("status=APPLIED:" + b"good".hex(), since)
        agent.flush()
        self.assertEqual([("APPLIED", b"good", "")], statuses(self.messages(since)))
        self.assertEqual(2, len(self.offers(agent)))

    def test_what_failed_before_is_answered_with_that_failure(self):
        """[RCV-04]"""
        agent = self.started()
        agent.apply(self.take(agent, {"main": b"bad"}, b"bad"), "FAILED", "line 3")
        agent.flush()
        agent.apply(self.take(agent, {"main": b"good"}, b"good"))
        agent.flush()
        since = self.now()
        self.server.offer({"main": b"bad"}, b"bad".hex())
        agent.poll_now()
        self.wait("status=FAILED:" + b"bad".hex(), since)
        agent.flush()
        self.assertEqual([("FAILED", b"bad", "line 3")], statuses(self.messages(since)))
        self.assertEqual(2, len(self.offers(agent)))

    def test_two_servers_that_do_not_agree_are_answered_ever_more_rarely(self):
        """[RCV-04] [SYNC-04] Behind one address, say; the host has its word on both offers and is warned once."""
        agent = self.started()
        agent.apply(self.take(agent, {"main": b"good"}, b"good"))
        agent.flush()
        agent.apply(self.take(agent, {"main": b"bad"}, b"bad"), "FAILED", "no")
        agent.flush()
        since = self.now()
        offers = [{"answer": {"remote_config": {"config_hash_text": text}}} for text in ("good", "bad")]
        self.server.faults({"rules": [{"do": do} for do in offers * 30]})
        agent.poll_now()
        self.assertIn("offered in turn", agent.wait("warning").error["text"])
        self.wait("messages>=5", since)
        # After the burst of three it takes minutes to get twenty.
        self.assertLess(len(self.messages(since)), 20)
        self.assertEqual(2, len(self.offers(agent)))

    def test_two_servers_that_do_not_agree_do_not_drive_a_host_that_takes_both(self):
        """[RCV-03] [SYNC-04] Each offer is delivered, the verdicts leave ever more rarely."""
        agent = self.started()
        since = self.now()
        offers = [{"answer": {"remote_config": {"config_hash_text": text}}} for text in ("one", "other")]
        self.server.faults({"rules": [{"do": do} for do in offers * 30]})
        agent.poll_now()
        while (event := agent.wait("message", "warning")).kind == "message":
            agent.apply(event)
        self.assertIn("offered in turn", event.error["text"])
        self.assertLess(len(self.messages(since)), 20)

    def test_what_failed_before_is_delivered_again_when_the_host_asked_for_it(self):
        """[RCV-04]"""
        agent = self.started(options={"REDELIVER_FAILED": 1})
        for hash_, state in ((b"bad", "FAILED"), (b"good", "APPLIED")):
            agent.apply(self.take(agent, {"main": hash_}, hash_), state)
            agent.flush()
        offer = self.take(agent, {"main": b"bad"}, b"bad")
        self.assertEqual(b"bad", offer.hash)

    def test_a_repeated_offer_with_its_status_known_sends_nothing(self):
        """[RCV-04] [SYNC-05]"""
        agent = self.started()
        offer = self.take(agent, {"main": b"x"})
        agent.apply(offer)
        agent.flush()
        self.server.faults({"rules": [{"times": "always", "do": {"offer_again": True}}]})
        for _ in range(5):
            self.assertEqual(BARE, fields(self.exchange(agent)))
        self.assertEqual(0, agent.snapshot()["pending"])
        self.assertEqual(1, len(self.offers(agent)))

    def test_an_empty_map_is_an_offer_and_no_map_is_none(self):
        """[RCV-14]"""
        agent = self.started(options={"DELIVER_EVERY_RESPONSE": 1})
        agent.drain()
        self.exchange(agent)
        self.assertEqual([None], [e.files for e in agent.events if e.kind == "message"][-1:])
        self.server.offer({}, b"none".hex())
        agent.poll_now()
        while (offer := agent.wait("message")).files is None:
            pass
        self.assertEqual(({}, b"none", 1), (offer.files, offer.hash, offer.parts))
        agent.apply(offer)
        agent.flush()
        self.wait("status=APPLIED:" + b"none".hex())

    def test_offers_without_a_hash_are_delivered_each_time(self):
        """[RCV-15] News always, a repetition of the same bytes within a budget of three."""
        agent = self.started()
        def raw(body):
            return {"remote_config": {"config": {"config_map": {"main": {"body": body}}}}}
        bodies = []
        for number in range(6):
            self.server.next(raw(f"{number}"), alone=True)
            agent.poll_now()
            bodies.append(agent.wait("message").files["main"][1])
        self.assertEqual([b"0", b"1", b"2", b"3", b"4", b"5"], bodies)
        # the same again: three times at once, and then one a second at the most
        agent.drain()
        agent.events.clear()
        self.server.next(raw("5"), times=10, alone=True)
        begin = time.monotonic()
        for _ in range(10):
            self.exchange(agent)
        self.assertIn(len(self.offers(agent)) - 3, range(int(time.monotonic() - begin) + 1))
        self.assertEqual([], statuses(self.messages()))


class Verdicts(Stage):
    def test_an_applying_that_never_ends_becomes_failed(self):
        """[LOG-05]"""
        agent = self.started(options={"APPLYING_TIMEOUT_MS": 300})
        self.server.offer({"main": b"x"}, b"h1".hex())
        agent.poll_now()
        offer = agent.wait("message")
        agent.apply(offer, "APPLYING")
        failed = self.wait("status=FAILED:" + b"h1".hex())
        self.assertIn("not finished", failed["remote_config_status"]["error_message"])
        agent.wait("warning")
        agent.flush()
        self.assertEqual(["APPLYING", "FAILED"], [s for s, _, _ in statuses(self.messages())])
        # The host may still have the last word.
        agent.apply(offer)
        agent.flush()
        self.wait("status=APPLIED:" + b"h1".hex())

    def test_an_applying_of_the_last_run_becomes_failed_too(self):
        """[LOG-05]"""
        client = self.client(options={"APPLYING_TIMEOUT_MS": 300})
        agent = self.started(client)
        self.server.offer({"main": b"x"}, b"h1".hex())
        agent.poll_now()
        agent.apply(agent.wait("message"), "APPLYING")
        agent.stop()
        agent.start()
        self.wait("status=FAILED:" + b"h1".hex())

    def test_an_offer_without_an_answer_is_not_answered_for_the_host(self):
        """[LOG-05] [LOG-04] One warning, and the snapshot shows it."""
        agent = self.started(options={"APPLYING_TIMEOUT_MS": 100})
        self.server.offer({"main": b"x"})
        agent.poll_now()
        offer = agent.wait("message")
        self.assertEqual(1, agent.snapshot()["pending_offer"])
        self.assertIn("no answer", agent.wait("warning").error["text"])
        for _ in range(5):
            self.exchange(agent)
        self.assertEqual(1, len([e for e in self.told(agent) if e.kind == "warning"]))
        self.assertEqual(1, agent.snapshot()["pending_offer"])
        self.assertEqual([], statuses(self.messages()))
        agent.apply(offer)
        agent.flush()
        self.assertEqual(0, agent.snapshot()["pending_offer"])

    def test_unset_before_the_first_offer_makes_a_server_offer_again(self):
        """[LOG-05] [SYNC-23] Given an agent that is back under its uid and has lost what it had."""
        client = self.client()
        agent = self.started(client)
        self.server.offer({"main": b"x"}, b"h1".hex())
        agent.poll_now()
        agent.apply(agent.wait("message"))
        agent.flush()
        uid = client.uid
        agent.stop()
        agent.free()
        client.unref()
        client = self.client()
        self.assertEqual(0, LIB.client_set_instance_uid(client.handle, uid, 16, None))
        self.refused("E_INVALID_ARG", client.set_status, b"h1", "UNSET")
        client.set_status(b"", "UNSET")
        since = self.now()
        agent = self.started(client)
        self.assertEqual([("UNSET", b"", "")], statuses(self.messages(since))[:1])
        offer = agent.wait("message")
        self.assertEqual(b"h1", offer.hash)
        agent.apply(offer)
        agent.flush()
        # from then on a status is about an offer
        self.refused("E_INVALID_ARG", client.set_status, b"", "UNSET")
        self.assertEqual(("APPLIED", b"h1", ""), statuses(self.messages(since))[-1])

    def test_a_verdict_from_the_hosts_own_storage_comes_before_the_first_offer(self):
        """[LOG-05] [RCV-04] And the offer that it speaks of is not delivered."""
        client = self.client()
        client.set_status(b"h1", "APPLIED")
        agent = self.started(client)
        self.assertEqual([("APPLIED", b"h1", "")], statuses(self.messages()))
        self.server.faults({"rules": [{"times": "always", "do": {"offer_again": True}}]})
        self.server.offer({"main": b"x"}, b"h1".hex())
        self.exchange(agent)
        self.assertEqual(BARE, fields(self.exchange(agent)))
        self.assertEqual([], [e for e in self.told(agent) if e.kind == "message"])

    def test_a_verdict_on_nothing_is_refused(self):
        """[LOG-05] Neither the last offer's hash nor the last reported one."""
        client = self.client()
        agent = self.started(client)
        for hash_ in (b"h1", b"h2"):
            self.server.offer({"main": hash_}, hash_.hex())
            agent.poll_now()
            offer = agent.wait("message")
            if hash_ == b"h1":
                agent.apply(offer)
                agent.flush()
        self.refused("E_INVALID_ARG", client.set_status, b"h3", "APPLIED")
        self.assertEqual(BARE, fields(self.exchange(agent)))
        # The last reported one is good, and so is the last offer's.
        client.set_status(b"h1", "FAILED", "broken since")
        agent.flush()
        agent.apply(offer)
        agent.flush()
        self.refused("E_INVALID_ARG", client.set_status, b"h1", "APPLIED")
        self.assertEqual([("APPLIED", b"h1", ""), ("FAILED", b"h1", "broken since"), ("APPLIED", b"h2", "")],
                         statuses(self.messages()))

    def test_a_restarted_agent_knows_what_it_answered(self):
        """[RCV-04] [LOG-05] A restart keeps the last verdict, number and uid."""
        client = self.client()
        agent = self.started(client)
        self.server.offer({"main": b"x"}, b"h1".hex())
        agent.poll_now()
        agent.apply(agent.wait("message"))
        agent.flush()
        agent.stop()
        self.server.faults({"rules": [{"times": "always", "do": {"offer_again": True}}]})
        since = self.now()
        agent.start()
        agent.flush()
        first = self.messages(since)[0]
        self.assertEqual([("APPLIED", b"h1", "")], statuses([first]))
        self.assertTrue(first["_full"])
        self.exchange(agent)
        self.assertEqual(1, len([e for e in self.told(agent) if e.kind == "message"]))
        numbers = [m["sequence_num"] for m in self.messages()]
        self.assertEqual(list(range(len(numbers))), numbers)


if __name__ == "__main__":
    unittest.main()
