"""What holds on both transports, over WebSocket: the same tests, another endpoint.

A name set to None takes a test out that needs an HTTP status or its one answer for each request.
"""
import test_guest
import test_life
import test_received_messages
import test_received_offers
import test_secrets
import test_stop_bounds
import test_sync_report
import test_sync_values
import test_telling
import test_tls
from websocket import OverWebSocket


class Report(OverWebSocket, test_sync_report.Report):
    # News waits for no response [SYNC-27]: it is on the connection that is lost, and again on the next.
    successors = [(2, b"new"), (3, b"new")]
    test_many_changes_while_the_server_is_away_are_one_message = None


class FullState(OverWebSocket, test_sync_report.FullState):
    pass


class Identity(OverWebSocket, test_sync_values.Identity):
    test_an_assigned_uid_is_used_for_all_that_follows = None


class Capabilities(OverWebSocket, test_sync_values.Capabilities):
    pass


class Values(OverWebSocket, test_sync_values.Values):
    pass


class Budget(OverWebSocket, test_sync_values.Budget):
    pass


class Offers(OverWebSocket, test_received_offers.Offers):
    pass


class Verdicts(OverWebSocket, test_received_offers.Verdicts):
    pass


class Errors(OverWebSocket, test_received_messages.Errors):
    pass


class Filters(OverWebSocket, test_received_messages.Filters):
    pass


class Foreign(OverWebSocket, test_received_messages.Foreign):
    def refused_to_confirm(self, agent, since):
        # What was read is confirmed by the next good message, which the flush asks for, and not by this one.
        agent.flush()
        self.assertEqual([["effective_config"], []], [m["_parts"] for m in self.messages(since)])


class Malformed(OverWebSocket, test_received_messages.Malformed):
    pass


class Goodbye(OverWebSocket, test_life.Goodbye):
    test_an_exchange_in_flight_is_awaited_first = None
    test_beyond_the_grace_it_is_cut_without_a_goodbye = None
    test_a_stop_does_not_pass_a_closed_gate = None
    test_a_server_that_never_answered_hears_no_goodbye = None
    test_after_a_413_the_server_is_there_for_a_goodbye = None


class Calls(OverWebSocket, test_life.Calls):
    pass


class Arguments(OverWebSocket, test_life.Arguments):
    pass


class Quiet(OverWebSocket, test_life.Quiet):
    pass


class Frozen(OverWebSocket, test_life.Frozen):
    # The child is killed in the end.
    pardoned = ("WS-15",)
    kinds = ["connected", "connected"]
    test_after_a_suspend_the_rest_of_the_wait_is_the_most = None


class Flush(OverWebSocket, test_life.Flush):
    pass


class Remains(OverWebSocket, test_life.Remains):
    # A stop without a grace says no goodbye.
    pardoned = ("WS-15",)


class StopBounds(OverWebSocket, test_stop_bounds.StopBounds):
    def test_while_the_upgrade_is_not_answered(self):
        """[LIFE-03]"""
        for do in ({"silent": True}, {"cut": {"after": {"bytes": 40}, "how": "stall"}}):
            with self.subTest(do):
                def begun():
                    self.fault(do, on="upgrade")
                    since = self.now()
                    agent = self.agent_of().start()
                    self.server.wait("upgrades", since=since)
                    return agent
                self.assert_stops(begun)

    def test_while_a_message_is_not_read(self):
        """[LIFE-03] [WS-09]"""
        def begun():
            agent = self.agent_of().start()
            agent.wait("connected")
            agent.flush()
            self.fault({"deaf": True})
            agent.client.set_effective_config({"large": bytes(16 << 20)})
            self.until(lambda: agent.snapshot()["messages_sent"] == 2)
            return agent
        took = [self.stop_ms(begun()) for _ in range(test_stop_bounds.TIMES)]
        self.assertLess(max(took), test_stop_bounds.GRACE + test_stop_bounds.ROOM, took)
        self.assertLessEqual(min(took), test_stop_bounds.GRACE + test_stop_bounds.PROMISED, took)

    def test_while_the_server_answers_nothing(self):
        """[LIFE-03] [WS-09] Not a message, not a ping, not a Close."""
        def begun():
            self.fault({"mute": True}, on="upgrade")
            since = self.now()
            agent = self.agent_of().start()
            self.server.wait("messages", since=since)
            return agent
        took = [self.stop_ms(begun()) for _ in range(test_stop_bounds.TIMES)]
        self.assertLess(max(took), test_stop_bounds.GRACE + test_stop_bounds.ROOM, took)
        self.assertLessEqual(min(took), test_stop_bounds.GRACE + test_stop_bounds.PROMISED, took)

    def test_while_a_refusal_is_waited_out(self):
        """[LIFE-03] [LIFE-01] [WS-12]"""
        self.fault({"status": 503, "retry_after": 3600}, times="always", on="upgrade")

        def begun():
            agent = self.agent_of().start()
            agent.wait("connect_failed")
            return agent
        self.assert_stops(begun)
        self.assertEqual([], self.messages())

    test_while_an_answer_does_not_come = None
    test_while_an_answer_does_not_end = None
    test_while_the_server_asked_to_wait = None
    test_a_short_wait_does_not_hurt = None


class Reports(OverWebSocket, test_telling.Reports):
    test_a_message_of_the_host_ends_once = None


class Connected(OverWebSocket, test_telling.Connected):
    test_connected_comes_with_the_first_answer_after_start_or_a_failure = None
    test_one_switch_tells_of_every_answer = None


class Lines(OverWebSocket, test_telling.Lines):
    test_levels_choose_what_comes = None
    request = "upgrade"

    def lose(self, agent):
        agent.reconnect()


class Snapshots(OverWebSocket, test_telling.Snapshots):
    pass


class Threads(OverWebSocket, test_guest.Threads):
    # The child ends without a stop.
    pardoned = (*test_guest.Threads.pardoned, "WS-15")


class Callbacks(OverWebSocket, test_guest.Callbacks):
    pass


class Poll(OverWebSocket, test_guest.Poll):
    test_the_descriptor_is_readable_exactly_while_something_waits = None


class SchemeOverHttp(OverWebSocket, test_tls.SchemeOverHttp):
    pass


class SchemeOverTls(OverWebSocket, test_tls.SchemeOverTls):
    pass


class Verification(OverWebSocket, test_tls.Verification):
    pass


class Roots(OverWebSocket, test_tls.Roots):
    pass


class Pairs(OverWebSocket, test_tls.Pairs):
    pass


class Sides(OverWebSocket, test_tls.Sides):
    pass


class SkipVerify(OverWebSocket, test_tls.SkipVerify):
    pass


class Secrets(OverWebSocket, test_secrets.Secrets):
    pardoned = (*test_secrets.Secrets.pardoned, "WS-12")
    test_when_the_server_echoes_what_it_refuses = None
    test_when_it_echoes_in_other_ways = None
    test_an_excerpt_without_a_secret_is_told = None
    test_in_one_exchange = None

    def test_when_all_goes_well(self):
        """[LOG-03]"""
        self.server.offer({"secret.yaml": test_secrets.OFFERED.encode()})
        agent = self.agent_with_secrets().start()
        agent.apply(agent.wait("message"))
        agent.flush()
        agent.reconnect()
        self.server.wait("upgrades>=2")
        self.exchange(agent)
        self.note(agent)
        agent.stop()
        self.note(agent)
        # the server saw them all, so they were there to be told
        told = str(self.server.timeline(limit=100_000))
        for canary in (test_secrets.TOKEN, test_secrets.COOKIE, test_secrets.EFFECTIVE):
            self.assertIn(canary, told)
        self.assert_silent(least=3)

    def test_when_the_server_echoes_in_a_refusal(self):
        """[LOG-03] In the body of a status, and in the reason of a Close frame."""
        hidden = test_secrets.HIDDEN
        for echo, told in ((f"bad credentials: Bearer {test_secrets.TOKEN}", hidden), ("bad credentials", "bad credentials"),
                           (test_secrets.WAYS["for a URL"](test_secrets.COOKIE), hidden)):
            for status in (200, 401, 503):
                with self.subTest(status):
                    self.fault({"status": status, "body": {"text": echo}, "content_type": "text/plain"}, on="upgrade")
                    self.assert_told(self.agent_with_secrets().start(), told)
            agent = self.agent_with_secrets().start()
            agent.flush()
            self.server.post("connections", {"how": "close", "code": 1008, "reason": echo})
            self.assert_told(agent, f"1008: {told}")
        self.assert_silent(least=5)

    def test_when_the_answer_is_spoilt(self):
        """[LOG-03]"""
        for fault, kind in (
            ({"body": "truncated"}, "warning"),
            ({"opcode": "text"}, "warning"),
            ({"cut": {"after": "half", "how": "close"}}, "connect_failed"),
            ({"reserved_bits": 4}, "connect_failed"),
            ({"answer": {"instance_uid": "018f3c6e-7c00-7000-8000-00000000f0f0"}}, "warning"),
        ):
            with self.subTest(fault):
                self.fault(fault)
                agent = self.agent_with_secrets().start()
                self.said.append(agent.wait(kind).error["text"])
                self.note(agent)
                agent.stop()
                self.note(agent)
        self.assert_silent(least=5)
