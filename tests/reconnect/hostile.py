"""A server whose manners are a function: it gets each connection as a Peer, and the connection ends when it returns."""
import base64
import hashlib
import random
import socket
import ssl
import struct
import threading
import time

from loopback import QUIET_PORTS
from words import Message

PROTOBUF = ("Content-Type", "application/x-protobuf")
TEXT, BINARY, RESERVED, CLOSE, PING, PONG = 1, 2, 3, 8, 9, 10


class Gone(Exception):
    """The other side closed, or the server ends."""


class Server:
    """Listens at once, on a port of its own. It counts connections, requests (upgrades included) and messages, each with its time."""

    def __init__(self, manners, scheme, tls=None, address="127.0.0.1"):
        self.manners, self.scheme, self.address = manners, scheme, address
        self.tls = tls if scheme in ("https", "wss") else None
        self.is_socket = scheme in ("ws", "wss")
        self.connections, self.requests, self.messages = [], [], []
        self.lock = threading.Condition()
        self.open = set()
        self.listener, self.port = None, 0
        self.beside = None
        self.faults = []
        self.listen()

    def endpoint(self, host=None):
        return f"{self.scheme}://{host or self.address}:{self.port}/v1/opamp"

    def listen(self):
        self.listener = self._bound()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _bound(self):
        """On the port it had before, or one that no connection of this machine is given while the server is away."""
        for port in [self.port] if self.port else random.sample(QUIET_PORTS, 100):
            try:
                return socket.create_server((self.address, port), backlog=64)
            except OSError as error:
                refusal = error
        raise refusal

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections.append(time.monotonic())
                peer = Peer(self, connection, len(self.connections))
                self.open.add(peer)
                self.lock.notify_all()
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            self.manners(peer)
        except (Gone, OSError):
            pass
        except Exception as fault:  # a fault of the test, told with the row
            self.faults.append(repr(fault))
        with self.lock:
            self.open.discard(peer)
        peer.close()

    def note(self, what, value):
        with self.lock:
            what.append(value)
            self.lock.notify_all()

    def wait(self, condition, timeout):
        """Whether the condition came true in time."""
        with self.lock:
            return self.lock.wait_for(condition, timeout)

    def drop(self):
        """Ends every connection; new ones are welcome."""
        with self.lock:
            peers = list(self.open)
        for peer in peers:
            peer.close()

    def close(self):
        listener, self.listener = self.listener, None
        if listener is not None:
            # a blocked accept() ends with shutdown, not with close
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop()

    def times_of(self, messages):
        return [at for at, message in messages if not message.is_disconnect]


class Peer:
    """One connection, from the server's side."""

    def __init__(self, server, connection, count):
        self.server, self.socket, self.count = server, connection, count
        # A flood and a pong of two threads must not come one within the other.
        self.sending = threading.Lock()
        self.is_upgraded = False
        self.headers, self.path = {}, ""
        self.buffer = b""

    def secure(self):
        if self.server.tls is not None and not isinstance(self.socket, ssl.SSLSocket):
            self.socket = self.server.tls.wrap_socket(self.socket, server_side=True)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise Gone
        self.buffer += data

    def _take(self, count):
        while len(self.buffer) < count:
            self._fill()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def drain(self):
        """Reads, and says nothing, until the other side closes."""
        while self.socket.recv(65536):
            pass

    def mute(self):
        """Neither reads nor says anything, until the server ends."""
        with self.server.lock:
            self.server.lock.wait_for(lambda: self not in self.server.open or self.socket.fileno() < 0)

    # ---- HTTP ----

    def request(self):
        """The body of the next request."""
        self.secure()
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        self.path = first.split(" ")[1]
        self.headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        self.server.note(self.server.requests, time.monotonic())
        return self._take(int(self.headers.get("content-length", 0)))

    def respond(self, status, *headers, body=b""):
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers)]
        if status != 101:
            lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    # ---- WebSocket ----

    def upgrade(self):
        self.request()
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.respond(101, ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept))
        self.is_upgraded = True

    def frame(self):
        """(opcode, whether it is the last of its message, payload)"""
        first, second = self._take(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(self._take(2), "big")
        elif size == 127:
            size = int.from_bytes(self._take(8), "big")
        mask = self._take(4) if second & 0x80 else bytes(4)
        payload = self._take(size)
        return first & 0x0F, bool(first & 0x80), bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

    def send_frame(self, opcode, payload):
        size = len(payload)
        length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
        self.send_all(bytes([0x80 | opcode]) + length + payload)

    def send_all(self, frames):
        """Whole frames, as they are."""
        with self.sending:
            self.socket.sendall(frames)

    # ---- either ----

    def message(self):
        """The next AgentToServer, noted; pings are answered on the way."""
        if self.server.is_socket:
            body = self._socket_message()
        else:
            body = self.request()
        message = Message(body, self.count)
        self.server.note(self.server.messages, (time.monotonic(), message))
        return message

    def _socket_message(self):
        if not self.is_upgraded:
            self.upgrade()
        whole = b""
        while True:
            opcode, is_last, payload = self.frame()
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                self.send_frame(CLOSE, payload[:2])
                raise Gone
            elif opcode < CLOSE:
                whole += payload
                if is_last:
                    return whole[1:]

    def say(self, answer=b""):
        """A ServerToAgent: in answer to the request, or as a message of its own."""
        if self.server.is_socket:
            self.send_frame(BINARY, b"\0" + answer)
        else:
            self.respond(200, PROTOBUF, body=answer)
