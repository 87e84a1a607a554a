"""The book: one row per misbehaving server. What it does, with which numbers of the agent, for how long, and the bounds."""
import dataclasses
import email.utils
import itertools
import signal
import threading
import time
from typing import Callable

import namespace
import words
from hostile import BINARY, CLOSE, RESERVED, TEXT

HTTP, HTTPS, WS, WSS = "http", "https", "ws", "wss"
BOTH = (HTTP, WS)
ALL = (HTTP, HTTPS, WS, WSS)
SECURE = (HTTPS, WSS)
SOCKETS = (WS, WSS)
MINUTE = 60
# So many messages, in gusts as fast as the socket takes them.
STORM, GUSTS, LULL = 100_000, 5, 1.5
WITH_LOG = ("--log", "info")

NO_JITTER = {"RETRY_AFTER_JITTER_MS": 0}
SOON = {"FIRST_RETRY_MAX_MS": 200, "BACKOFF_BASE_MS": 200, "BACKOFF_MAX_MS": 400}


@dataclasses.dataclass
class Row:
    name: str
    rows: str  # of the conformance table
    schemes: tuple
    manners: Callable
    bounds: list
    span: float = MINUTE  # seconds that the server is watched, unless `play` says when it is over
    options: dict = dataclasses.field(default_factory=dict)  # beside the defaults of the library
    interval_ms: int | None = None
    arguments: tuple = ()  # for the example agent
    play: Callable | None = None
    is_up: bool = True  # whether the server listens from the start
    has_own_network: bool = False  # see namespace.py
    host: str | None = None  # what the agent is told, instead of the server's address
    address: str = "127.0.0.1"  # where the server listens
    is_proxy: bool = False  # the server is the agent's proxy, on the way to the other server
    deaf: str | None = None  # an address whose port of the same number answers nothing


# ---- manners ----

def accepts_and_closes(peer):
    pass


def closes_after_tls(peer):
    peer.secure()


def resets_after_upgrade(peer):
    peer.upgrade()
    peer.reset()


def answers_once_and_closes(peer):
    peer.message()
    peer.say()


def reads_and_closes(peer):
    peer.message()


def answers_and_says_goodbye(peer):
    answers_once_and_closes(peer)
    peer.send_frame(CLOSE, (1001).to_bytes(2, "big"))
    peer.drain()


def breaks_the_protocol(peer):
    answers_once_and_closes(peer)
    peer.send_frame(RESERVED, b"")
    peer.drain()


def announces_too_much(peer):
    """A message of 1 GiB; not a byte of it comes."""
    peer.message()
    if peer.server.is_socket:
        peer.socket.sendall(bytes([0x80 | BINARY, 127]) + (1 << 30).to_bytes(8, "big"))
    else:
        peer.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1073741824\r\n\r\n")
    peer.drain()


def opens_the_way_and_closes(peer):
    peer.request()
    peer.socket.sendall(b"HTTP/1.1 200 Opened\r\n\r\n")


def opens_the_way_and_says_nothing(peer):
    opens_the_way_and_closes(peer)
    peer.drain()


def behaves(peer):
    while True:
        peer.message()
        peer.say()


def upgrades_and_says_nothing(peer):
    peer.upgrade()
    peer.drain()


def says_garbage(peer):
    while True:
        peer.message()
        if peer.server.is_socket:
            peer.send_frame(BINARY, b"\0\xff\xff\xff")
        else:
            peer.say(b"\xff\xff\xff")


def sends_text(peer):
    while True:
        peer.message()
        peer.send_frame(TEXT, b"hello")


def always(answer):
    def manners(peer):
        while True:
            peer.message()
            peer.say(answer)
    return manners


def refuses(status, *headers):
    def manners(peer):
        while True:
            peer.request()
            peer.respond(status, *((name, value() if callable(value) else value) for name, value in headers))
    return manners


def in_seconds(seconds):
    """An HTTP-date counted from when it is sent."""
    return lambda: email.utils.formatdate(time.time() + seconds, usegmt=True)


def refuses_reports(status=None, kind=None):
    """Whatever has a part gets a refusal; heartbeats are welcome."""
    def manners(peer):
        while True:
            if peer.message().is_heartbeat:
                peer.say()
            elif status is not None:
                peer.respond(status)
            else:
                peer.say(words.error_response(kind))
    return manners


def redirects(where):
    def manners(peer):
        while True:
            peer.request()
            peer.respond(307, ("Location", where(peer)))
    return manners


def to_itself(peer):
    return peer.path


def on_and_on(peer):
    return f"/v1/opamp/{len(peer.server.requests)}"


def elsewhere(peer):
    """The same scheme and host, another port."""
    return f"{peer.server.scheme}://127.0.0.1:{peer.server.beside.port}/v1/opamp"


def to_plaintext(peer):
    scheme = "ws" if peer.server.is_socket else "http"
    return f"{scheme}://127.0.0.1:{peer.server.beside.port}/v1/opamp"


def answers_once_and_dies(peer):
    """The first connection turns into a black hole; later ones are good."""
    peer.message()
    peer.say()
    if peer.count == 1:
        peer.mute()
    behaves(peer)


def storms(*answers):
    """Each as often as another, and an offer behind them: who has heard of it has taken them all in."""
    batch = b"".join(bytes([0x80 | BINARY, 1 + len(answer)]) + b"\0" + answer for answer in answers) * (STORM // GUSTS // len(answers))

    def storm(peer):
        try:
            for _ in range(GUSTS):
                peer.send_all(batch)
                threading.Event().wait(LULL)
            peer.say(words.offer(b"a", b"1", b"behind"))
        except OSError:
            pass

    def manners(peer):
        peer.message()
        threading.Thread(target=storm, args=(peer,), daemon=True).start()
        while True:
            peer.message()
    return manners


# ---- bounds: each looks at the run and says what was counted, and whether that is good ----

def counted(what, low, high, found):
    return (f"{len(found)} {what} (at least {low}, at most {high})", low <= len(found) <= high)


def connections(low, high):
    return lambda run: counted("connections", low, high, run.server.connections)


def requests(low, high):
    return lambda run: counted("requests", low, high, run.server.requests)


def messages(low, high):
    return lambda run: counted("messages", low, high, run.server.times_of(run.server.messages))


def full_reports(low, high):
    return lambda run: counted("full reports", low, high, [m for _, m in run.server.messages if m.is_full])


def heartbeats(low):
    """No more than the interval lets through."""
    def bound(run):
        high = int((time.monotonic() - run.begin) * 1_000 / run.row.interval_ms) + 1
        return counted("heartbeats", low, high, run.heartbeats())
    return bound


def first_number(number):
    return lambda run: (f"the first message has number {run.server.messages[0][1].number} (wanted {number})",
                        run.server.messages[0][1].number == number)


def events(name, low, high, **fields):
    def bound(run):
        found = [e for e in run.agent.said(name) if all(e.get(key) == value for key, value in fields.items())]
        return counted(f"events {name} {fields or ''}".rstrip(), low, high, found)
    return bound


def few(name):
    """Three at once, then one more after 1, 2, 4 .. 30 s, however long the machine took."""
    def bound(run):
        high, wait, left = 3, 1, time.monotonic() - run.begin
        while left >= wait:
            high, wait, left = high + 1, min(30, 2 * wait), left - wait
        return counted(f"of {STORM} heard as {name}", 2, high, run.agent.said(name))
    return bound


def logged(low, high):
    return lambda run: counted("lines in the log", low, high, run.agent.errors().splitlines())


def queries(low, high):
    return lambda run: counted("questions for a name", low, high, run.names.queries)


def beside(low, high):
    return lambda run: counted("connections to the other server", low, high, run.server.beside.connections)


def spread(what, shortest, longest):
    """Between two that follow each other never less time, and never more."""
    def bound(run):
        times = run.server.requests if what == "requests" else run.server.times_of(run.server.messages)
        gaps = [b - a for a, b in itertools.pairwise(times)]
        text = ", ".join(f"{gap:.1f}" for gap in gaps[:8])
        return (f"between {what} {text} s (at least {shortest}, at most {longest})",
                bool(gaps) and min(gaps) >= shortest and max(gaps) <= longest)
    return bound


def within(what, seconds):
    """A time that `play` took."""
    return lambda run: (f"{what} after {run.times[what]:.2f} s (at most {seconds})", run.times[what] <= seconds)


# ---- plays ----

def outlives_the_storm(run):
    run.agent.wait("remote_config", timeout=MINUTE)


def beats(count):
    """However long that takes: a machine that stands still sends nothing."""
    return lambda run: run.until(lambda: len(run.heartbeats()) >= count, f"heartbeat {count}", MINUTE)


def is_called(count):
    return lambda run: run.until(lambda: len(run.server.connections) >= count, f"connection {count}", MINUTE)


def restarts(run, count=20):
    """As soon as the agent has spoken, the server goes and comes again."""
    connections = 0
    for _ in range(count):
        speaks_anew(run, connections)
        run.server.close()
        connections = len(run.server.connections)
        run.server.listen()
    speaks_anew(run, connections)


def speaks_anew(run, connections):
    """Waits for a message on a connection beyond these."""
    run.until(lambda: any(message.connection > connections for _, message in run.server.messages[-3:]), "a message after a restart")


def appears(seconds):
    def play(run):
        run.pass_time(seconds)
        run.server.listen()
        begin = time.monotonic()
        run.until(lambda: run.server.messages, "the first message")
        run.times["joined"] = run.server.messages[0][0] - begin
    return play


def joins(run):
    run.until(lambda: run.server.messages, "the first message")
    run.times["joined"] = run.server.messages[0][0] - run.begin


def loses_network(away):
    """Not a packet gets through for so many seconds."""
    def play(run):
        run.until(lambda: len(run.server.messages) > 0, "the first message")
        namespace.link("down")
        begin = time.monotonic()
        run.agent.wait("connect_failed", timeout=30)
        run.times["noticed"] = time.monotonic() - begin
        run.pass_time(away)
        seen = len(run.server.messages)
        namespace.link("up")
        begin = time.monotonic()
        run.until(lambda: len(run.server.messages) > seen, "a message once the network was back")
        run.times["rejoined"] = time.monotonic() - begin
    return play


def notices(run):
    run.until(lambda: len(run.server.messages) > 0, "the first message")
    begin = time.monotonic()
    run.until(lambda: len(run.server.connections) > 1, "a second connection")
    run.times["noticed"] = run.server.connections[1] - begin
    run.until(lambda: len(run.server.messages) > 1, "a message on it")


def freeze(seconds, watched, drops=False):
    """Suspends the process; what it says afterwards is counted from then on."""
    def play(run):
        run.until(lambda: len(run.server.messages) > 1, "the second message")
        run.agent.process.send_signal(signal.SIGSTOP)
        run.pass_time(seconds)
        if drops:
            run.server.drop()
        with run.server.lock:
            run.server.messages.clear()
        run.agent.process.send_signal(signal.SIGCONT)
        begin = time.monotonic()
        run.until(lambda: run.server.messages, "a message after the freeze")
        run.times["spoke"] = run.server.messages[0][0] - begin
        run.pass_time(watched)
    return play


# ---- the book ----

FULL_AND_OFFER = words.REPORT_FULL_STATE + words.offer(b"a", b"1", b"same")
# A run of some seconds: the lines of start and connection, and of each kind the few that its budget lets through.
STORM_BOUNDS = [logged(1, 30), connections(1, 1), messages(1, 20)]
UNAVAILABLE = words.error_response(2)
UNAVAILABLE_2_S = words.error_response(2, 2_000_000_000)

BOOK = [
    Row("accepts and closes", "[WS-10] [HTTP-12]", ALL, accepts_and_closes, [connections(3, 12)]),
    Row("reads the report and closes", "[SYNC-02] [WS-10] [HTTP-12]", ALL, reads_and_closes, [connections(3, 12), full_reports(3, 12)]),
    Row("answers once and closes", "[WS-10]", SOCKETS, answers_once_and_closes, [connections(3, 12), messages(3, 12)]),
    Row("answers each request on a connection of its own", "[HTTP-14]", (HTTP, HTTPS), answers_once_and_closes,
        [connections(20, 60), events("connect_failed", 0, 0)], interval_ms=100, play=is_called(20)),
    Row("closes after TLS", "[WS-10] [HTTP-12]", SECURE, closes_after_tls, [connections(3, 12)]),
    Row("resets after the upgrade", "[WS-10]", SOCKETS, resets_after_upgrade, [connections(3, 12)]),
    Row("answers once and closes with 1001", "[WS-10]", SOCKETS, answers_and_says_goodbye, [connections(3, 12), messages(3, 12)]),
    Row("answers once and breaks the protocol", "[WS-06] [WS-10]", SOCKETS, breaks_the_protocol, [connections(3, 12), messages(3, 12)]),
    Row("announces 1 GiB", "[WS-04] [HTTP-20]", BOTH, announces_too_much, [connections(2, 12), messages(2, 12)]),
    Row("upgrades, then silence", "[WS-07] [WS-10]", SOCKETS, upgrades_and_says_nothing, [connections(2, 12)]),
    Row("garbage for ever", "[HTTP-12] [HTTP-16]", (HTTP, HTTPS), says_garbage, [requests(3, 12)]),
    Row("garbage for ever", "[WS-01] [WS-18]", SOCKETS, says_garbage, [connections(1, 1), messages(2, 12)]),
    Row("text for ever", "[WS-06]", (WS,), sends_text, [connections(1, 1), messages(2, 12)]),
    Row("a storm of refusals", "[LOG-11]", SOCKETS, storms(words.error_response(1)), [few("server_error"), *STORM_BOUNDS],
        arguments=WITH_LOG, play=outlives_the_storm),
    Row("a storm of new uids", "[LOG-11]", SOCKETS, storms(words.new_uid(7), words.new_uid(8)), [few("new_uid"), *STORM_BOUNDS],
        arguments=WITH_LOG, play=outlives_the_storm),
    Row("a storm of garbage", "[LOG-11]", (WS,), storms(b"\xff\xff"), [few("warning"), *STORM_BOUNDS],
        arguments=WITH_LOG, play=outlives_the_storm),
    Row("always ReportFullState", "[SYNC-04]", ALL, always(words.REPORT_FULL_STATE), [full_reports(5, 12), messages(5, 14)]),
    Row("the full state and the same offer in every answer", "[SYNC-04] [RCV-03]", BOTH, always(FULL_AND_OFFER),
        [full_reports(5, 12), messages(5, 16), events("remote_config", 1, 1)]),
    Row("always UNAVAILABLE", "[WS-11] [RCV-01]", BOTH, always(UNAVAILABLE), [messages(1, 3), connections(1, 3)]),
    Row("always UNAVAILABLE for 2 s", "[WS-11] [RCV-01]", BOTH, always(UNAVAILABLE_2_S),
        [messages(3, 7), spread("messages", 1.9, 9)], span=12, options=NO_JITTER),
    Row("503 for 2 s", "[HTTP-10] [WS-12]", BOTH, refuses(503, ("Retry-After", "2")),
        [requests(3, 7), spread("requests", 1.9, 4)], span=12, options=NO_JITTER),
    Row("503 until a date", "[HTTP-10] [WS-12]", BOTH, refuses(503, ("Retry-After", in_seconds(3))),
        [requests(4, 7), spread("requests", 1.9, 4)], span=12, options=NO_JITTER),
    Row("503 for a negative time", "[HTTP-10] [WS-12]", BOTH, refuses(503, ("Retry-After", "-5")),
        [requests(2, 5), spread("requests", 2.9, 8)], span=12, options=NO_JITTER | SOON | {"RETRY_AFTER_MIN_MS": 3_000}),
    Row("503 for an absurd time", "[HTTP-10] [WS-12]", BOTH, refuses(503, ("Retry-After", "99999999999999999999")),
        [requests(2, 4), spread("requests", 3.9, 6)], span=12, options=NO_JITTER | {"RETRY_AFTER_MAX_MS": 4_000}),
    Row("503 without a time", "[HTTP-10] [WS-12]", BOTH, refuses(503), [requests(1, 3)]),
    Row("redirects to itself", "[HTTP-13] [WS-12]", ALL, redirects(to_itself), [requests(7, 24)]),
    Row("redirects on and on", "[HTTP-13] [WS-17]", BOTH, redirects(on_and_on), [requests(7, 24)]),
    Row("redirects to another origin", "[HTTP-13] [HTTP-22] [WS-17]", BOTH, redirects(elsewhere), [requests(2, 12), beside(0, 0)]),
    Row("redirects to plaintext", "[HTTP-13] [HTTP-22]", SECURE, redirects(to_plaintext), [requests(2, 12), beside(0, 0)]),
    # Once with the configuration, and once each alone.
    Row("413 to reports, for 120 heartbeats", "[HTTP-09] [HTTP-24]", (HTTP,),
        refuses_reports(status=413), [full_reports(2, 2), heartbeats(120)],
        interval_ms=50, play=beats(120)),
    Row("BAD_REQUEST to reports, for 120 heartbeats", "[HTTP-09] [RCV-01]", BOTH, refuses_reports(kind=1),
        [full_reports(1, 1), heartbeats(120)], interval_ms=50, play=beats(120)),
    Row("UNKNOWN to reports, for 120 heartbeats", "[HTTP-09] [RCV-01]", BOTH, refuses_reports(kind=0),
        [full_reports(1, 1), heartbeats(120)], interval_ms=50, play=beats(120)),
    Row("restarts 20 times", "[HTTP-14] [WS-10]", ALL, behaves, [connections(21, 45), messages(21, 200)], options=SOON, interval_ms=50,
        play=restarts),
    Row("appears after 6 s, the longest wait being 1 s", "[LIFE-09] [HTTP-12] [SYNC-12]", BOTH, behaves,
        [within("joined", 2), connections(1, 1), first_number(0)],
        options=SOON | {"BACKOFF_MAX_MS": 1_000}, play=appears(6), is_up=False),
    Row("a black hole after the first answer, pings every 1 s", "[WS-07]", SOCKETS, answers_once_and_dies,
        [within("noticed", 2.7), connections(2, 2)], options=SOON | {"PING_INTERVAL_MS": 1_000, "PONG_TIMEOUT_MS": 500}, play=notices),
    Row("a black hole after the first answer, which is due in 1 s", "[HTTP-18]", (HTTP, HTTPS), answers_once_and_dies,
        [within("noticed", 2.7), connections(2, 2)], options=SOON | {"FIRST_BYTE_TIMEOUT_MS": 1_000}, interval_ms=500, play=notices),
    Row("the process stands still for 3 intervals", "[LIFE-12]", ALL, behaves,
        [within("spoke", 2), messages(1, 5), events("connect_failed", 0, 0), connections(1, 2)], interval_ms=1_000, play=freeze(3, 3)),
    Row("the process stands still for 3 intervals, the server has closed", "[LIFE-12]", ALL, behaves,
        [within("spoke", 6.5), messages(1, 5), connections(2, 3)], interval_ms=1_000, play=freeze(3, 3, drops=True)),
    Row("a name that resolves to nothing", "[HTTP-12] [WS-10]", BOTH, behaves,
        [events("connect_failed", 3, 12, kind="resolve"), queries(6, 24), connections(0, 0)], has_own_network=True, host="nothing.test"),
    Row("a name server that says nothing", "[HTTP-18] [HTTP-12] [WS-10]", BOTH, behaves,
        [events("connect_failed", 3, 12), queries(4, 48), connections(0, 0)], has_own_network=True, host="silent.test"),
    Row("the first of two addresses is dead", "[HTTP-18]", BOTH, behaves,
        [within("joined", 5), connections(1, 1), events("connect_failed", 0, 0)], has_own_network=True, host="two.test",
        address="127.0.0.2", deaf="127.0.0.1", play=joins),
    Row("the network goes after the first answer, pings every 1 s", "[WS-07] [WS-16]", (WS,), behaves,
        [within("noticed", 2.5), within("rejoined", 4), connections(2, 2), events("connect_failed", 2, 30)], has_own_network=True,
        options=SOON | {"CONNECT_TIMEOUT_MS": 1_000, "PING_INTERVAL_MS": 1_000, "PONG_TIMEOUT_MS": 500}, play=loses_network(4)),
    Row("the network goes after the first answer, which is due in 1 s", "[HTTP-18]", (HTTP,), behaves,
        [within("noticed", 2.5), within("rejoined", 4), connections(2, 2), events("connect_failed", 2, 30)], has_own_network=True,
        options=SOON | {"CONNECT_TIMEOUT_MS": 1_000, "FIRST_BYTE_TIMEOUT_MS": 1_000}, interval_ms=500, play=loses_network(4)),
    Row("a proxy that accepts and closes", "[PROXY-01] [HTTP-12] [WS-10]", BOTH, accepts_and_closes, [connections(3, 12), beside(0, 0)],
        is_proxy=True),
    Row("a proxy that always wants a login", "[PROXY-01] [HTTP-11]", BOTH, refuses(407, ("Proxy-Authenticate", "Basic realm=x")),
        [requests(1, 4), events("connect_failed", 1, 4, kind="proxy", http_status=407), beside(0, 0)], is_proxy=True),
    Row("a proxy that opens the way and closes", "[PROXY-01] [WS-10]", SOCKETS, opens_the_way_and_closes,
        [connections(3, 12), beside(0, 0)], is_proxy=True),
    Row("a proxy that opens the way and says nothing", "[PROXY-01] [WS-10]", SOCKETS, opens_the_way_and_says_nothing,
        [connections(2, 12), beside(0, 0)], is_proxy=True),
]
