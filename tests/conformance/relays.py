"""Small servers between an agent and the development server: what stands on a real network's way."""
import base64
import socket
import threading


class Relay:
    """Takes connections on a socket of its own and hands each to `serve` on a thread; what it opened ends with it."""

    def __init__(self, listener):
        self.listener = listener
        self.lock = threading.Lock()
        self.open = [listener]
        self.count = 0
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self.lock:
            sockets, self.open = self.open, []
        for sock in sockets:
            end(sock)
            sock.close()
        self.thread.join(10)

    def accept(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            self.count += 1
            self.hold(peer)
            threading.Thread(target=self.quietly, args=(peer,), daemon=True).start()

    def hold(self, sock):
        with self.lock:
            self.open.append(sock)

    def quietly(self, peer):
        try:
            self.serve(peer)
        except (OSError, EOFError):
            pass
        finally:
            end(peer)

    def serve(self, peer):
        raise NotImplementedError

    def connect(self, address):
        there = socket.create_connection(address, 10)
        there.settimeout(None)
        self.hold(there)
        return there


class UnixRelay(Relay):
    """A unix socket before a TCP server."""

    def __init__(self, path, address):
        self.address = address
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        super().__init__(listener)

    def serve(self, peer):
        join(peer, self.connect(self.address))


def join(one, other):
    """Carries bytes both ways until either end is over."""
    back = threading.Thread(target=carry, args=(other, one), daemon=True)
    back.start()
    carry(one, other)
    back.join()


def carry(source, sink):
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
    except OSError:
        pass
    end(sink)
    end(source)


def end(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class HttpProxy(Relay):
    """Serves CONNECT, and passes on requests with a whole URL; `asked` holds (method, target, headers) of all that came.

    `routes` says where each host:port really is. With `login` (user:password) others get a 407; `answer` is said instead
    of serving. With `context` it speaks TLS.
    """

    def __init__(self, routes, login=None, context=None, answer=None):
        self.routes, self.login, self.context, self.answer = routes, login, context, answer
        self.asked = []
        super().__init__(socket.create_server(("127.0.0.1", 0)))
        self.port = self.listener.getsockname()[1]
        self.place = f"127.0.0.1:{self.port}"

    def serve(self, peer):
        if self.context:
            peer = self.context.wrap_socket(peer, server_side=True)
            self.hold(peer)
        stream = peer.makefile("rb")
        while request := self.read_head(stream):
            method, target, headers = request
            self.asked.append(request)
            if refusal := self.answer or self.refusal(headers):
                stream.read(int(headers.get("content-length", 0)))
                peer.sendall(refusal)
            elif method == "CONNECT":
                there = self.connect(self.routes[target])
                peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                return join(peer, there)
            else:
                self.pass_on(peer, stream, request)

    def refusal(self, headers):
        if self.login is None:
            return None
        wanted = "Basic " + base64.b64encode(self.login.encode()).decode()
        if headers.get("proxy-authorization") == wanted:
            return None
        return (b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\"\r\n"
                b"Content-Length: 0\r\n\r\n")

    def pass_on(self, peer, stream, request):
        method, target, headers = request
        place, path = target.removeprefix("http://").split("/", 1)
        there = self.connect(self.routes[place])
        body = stream.read(int(headers.get("content-length", 0)))
        kept = {name: value for name, value in headers.items() if not name.startswith("proxy-")}
        lines = [f"{method} /{path} HTTP/1.1"] + [f"{name}: {value}" for name, value in kept.items()]
        there.sendall("\r\n".join(lines + ["connection: close", "", ""]).encode() + body)
        head, body = there.makefile("rb").read().split(b"\r\n\r\n", 1)
        # That connection is over, ours is not.
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        peer.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        there.close()

    @staticmethod
    def read_head(stream):
        first = stream.readline().decode()
        if not first:
            return None
        method, target, _ = first.split(" ")
        headers = {}
        while line := stream.readline().decode().strip():
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        return method, target, headers


class SocksProxy(Relay):
    """SOCKS5 with or without a login; `asked` holds (kind, host, port) of all that came."""

    def __init__(self, routes, login=None):
        self.routes, self.login, self.asked = routes, login, []
        super().__init__(socket.create_server(("127.0.0.1", 0)))
        self.place = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def serve(self, peer):
        _, count = exactly(peer, 2)
        wanted = 2 if self.login else 0
        if wanted not in exactly(peer, count):
            peer.sendall(b"\x05\xff")
            return
        peer.sendall(bytes([5, wanted]))
        if self.login:
            _, length = exactly(peer, 2)
            user = exactly(peer, length)
            password = exactly(peer, exactly(peer, 1)[0])
            is_right = f"{user.decode()}:{password.decode()}" == self.login
            peer.sendall(bytes([1, 0 if is_right else 1]))
            if not is_right:
                return
        _, _, _, kind = exactly(peer, 4)
        if kind == 3:
            host = exactly(peer, exactly(peer, 1)[0]).decode()
        else:
            host = socket.inet_ntop(*((socket.AF_INET, exactly(peer, 4)) if kind == 1 else (socket.AF_INET6, exactly(peer, 16))))
        port = int.from_bytes(exactly(peer, 2), "big")
        self.asked.append((kind, host, port))
        there = self.connect(self.routes[f"{host}:{port}"])
        peer.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        join(peer, there)


def exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
