"""A network of a row's own: loopback alone, names that a server of ours answers, nothing of the machine's."""
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

ENTER = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--propagation", "private"]
# Names and their addresses; "silent.test" gets no answer, every other one does not exist.
ADDRESSES = {"two.test": ["127.0.0.1", "127.0.0.2"]}
NO_SUCH_NAME = 3


def lacking():
    """Why there is none here, or None."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "no unshare or ip"
    return None if subprocess.run([*ENTER, "true"], capture_output=True).returncode == 0 else "no namespaces for us"


def settle():
    """To be called inside: from here on names are asked of 127.0.0.1, port 53."""
    link("up")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="opamp-names-"))
    for name, text in ("resolv.conf", "nameserver 127.0.0.1\n"), ("hosts", "127.0.0.1 localhost\n"), ("nsswitch.conf", "hosts: files dns\n"):
        (folder / name).write_text(text)
        if os.path.exists(f"/etc/{name}"):
            subprocess.run(["mount", "--bind", folder / name, os.path.realpath(f"/etc/{name}")], check=True)
    return folder


def link(state):
    """Takes the network away, or brings it back."""
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


class Names:
    """Answers on 127.0.0.1, port 53, and counts."""

    def __init__(self):
        self.queries = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            query, sender = self.socket.recvfrom(512)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            name, kind, question = ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])[0], query[12:at + 5]
            self.queries.append((time.monotonic(), name))
            if name == "silent.test":
                continue
            found = [socket.inet_aton(address) for address in ADDRESSES.get(name, [])] if kind == 1 else []
            flags = 0x8180 | (0 if name in ADDRESSES else NO_SUCH_NAME)
            records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + address for address in found)
            self.socket.sendto(query[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + question + records, sender)


class Deaf:
    """A port that takes no more connections: what is sent there gets no answer at all."""

    def __init__(self, address, port):
        self.listener = socket.socket()
        self.listener.bind((address, port))
        self.listener.listen(0)
        self.full = []
        for _ in range(2):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((address, port))
            self.full.append(one)
