"""What holds on both transports, over WebSocket: the same tests, another endpoint.

A name set to None takes a test out that needs an HTTP status or its one answer for each request.
"""
import test_guest
import test_life
import test_received_messages
import test_received_offers
import test_stop_bounds
import test_sync_report
import test_sync_values
import test_telling
import test_tls
from websocket import OverWebSocket


class Report(OverWebSocket, test_sync_report.Report):
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
        # What was read is confirmed by the next good message, and not by this one.
        self.refused("E_TIMEOUT", agent.flush, 100)
        self.exchange(agent)
        agent.flush()
        self.assertEqual([["effective_config"], []], [m["_parts"] for m in self.messages(since)])


class Malformed(OverWebSocket, test_received_messages.Malformed):
    pass


class Goodbye(OverWebSocket, test_life.Goodbye):
    test_an_exchange_in_flight_is_awaited_first = None
    test_beyond_the_grace_it_is_cut_without_a_goodbye = None
    test_a_stop_does_not_pass_a_closed_gate = None
    test_a_server_that_never_answered_hears_no_goodbye = None


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
    test_while_an_answer_does_not_come = None
    test_while_an_answer_does_not_end = None
    test_while_a_message_is_not_read = None
    test_while_the_server_asked_to_wait = None
    test_a_short_wait_does_not_hurt = None


class Reports(OverWebSocket, test_telling.Reports):
    test_a_message_of_the_host_ends_once = None


class Connected(OverWebSocket, test_telling.Connected):
    test_connected_comes_with_the_first_answer_after_start_or_a_failure = None
    test_one_switch_tells_of_every_answer = None


class Lines(OverWebSocket, test_telling.Lines):
    test_levels_choose_what_comes = None


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
