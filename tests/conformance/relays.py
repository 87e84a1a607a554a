"""Small servers between an agent and the development server: what stands on a real network's way."""
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
