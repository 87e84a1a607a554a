"""Protobuf by hand, as much of OpAMP as a hostile server needs."""
from protobuf import delimited, varint

DISCONNECT = 9
# description, health, effective config, remote config status, package statuses
PARTS = (3, 5, 6, 7, 8)
REPORT_FULL_STATE = b"\x30\x01"


def number(field, value):
    return varint(field << 3) + varint(value)


def error_response(kind, retry_after_ns=None):
    """A ServerToAgent that holds one: 0 UNKNOWN, 1 BAD_REQUEST, 2 UNAVAILABLE."""
    wait = b"" if retry_after_ns is None else delimited(3, number(1, retry_after_ns))
    return delimited(2, number(1, kind) + delimited(2, b"no") + wait)


def offer(name, body, digest):
    """A ServerToAgent with a configuration of one file."""
    file = delimited(1, name) + delimited(2, delimited(1, body))
    return delimited(3, delimited(1, delimited(1, file)) + delimited(2, digest))


def new_uid(last):
    """A ServerToAgent that assigns one."""
    return delimited(8, delimited(1, bytes([1] * 15 + [last])))


class Message:
    """The fields of an AgentToServer, by number, and the number of the connection that it came on."""

    def __init__(self, body, connection):
        self.connection, self.size = connection, len(body)
        self.fields = {}
        at = 0
        while at < len(body):
            key, at = self._varint(body, at)
            value, at = self._varint(body, at)
            if key & 7 == 2:
                value, at = body[at:at + value], at + value
            self.fields[key >> 3] = value

    @staticmethod
    def _varint(body, at):
        value = shift = 0
        while True:
            value |= (body[at] & 0x7F) << shift
            shift += 7
            at += 1
            if body[at - 1] < 0x80:
                return value, at

    @property
    def number(self):
        return self.fields.get(2, 0)

    @property
    def is_disconnect(self):
        return DISCONNECT in self.fields

    @property
    def is_heartbeat(self):
        return not self.is_disconnect and not any(part in self.fields for part in PARTS)

    @property
    def is_full(self):
        return 3 in self.fields
