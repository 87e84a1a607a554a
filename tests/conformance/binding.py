"""libopamp through ctypes: the prototypes come from include/opamp.ffi.h, so a test calls what a user calls.

The library is target/release/libopamp.so, or what OPAMP_LIBRARY names.
"""
import ctypes
import json
import os
import re
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCALARS = {
    "opamp_status": ctypes.c_int32, "int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64, "size_t": ctypes.c_size_t, "double": ctypes.c_double,
    "void": None,
}
PROTOTYPE = re.compile(r"([\w\s\*]*?[\s\*])(opamp_\w+)\s*\(([^;{}]*)\)\s*;", re.S)
ENUMERATOR = re.compile(r"\b(OPAMP_\w+)\s*=\s*(-?\d+|0x[0-9a-fA-F]+)")


class Slice(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("len", ctypes.c_size_t)]

    def bytes(self):
        return ctypes.string_at(self.data, self.len)


def ctype_of(text):
    """The ctypes type of one parameter or result as the header writes it."""
    text = text.replace("const", " ").strip()
    if "(*" in text:
        return ctypes.c_void_p
    if "*" in text:
        return ctypes.c_char_p if re.match(r"char\s*\*\s*\w*$", text) else ctypes.c_void_p
    return SCALARS[text.split()[0]]


class Library:
    """All functions as attributes without their prefix, all enumerators in `constants`."""

    def __init__(self, path=None):
        self.path = path or os.environ.get("OPAMP_LIBRARY") or str(ROOT / "target/release/libopamp.so")
        self.dll = ctypes.CDLL(self.path)
        header = (ROOT / "include/opamp.ffi.h").read_text()
        self.constants = {name: int(value, 0) for name, value in ENUMERATOR.findall(header)}
        for result, name, parameters in PROTOTYPE.findall(header):
            if "typedef" in result:
                continue
            function = getattr(self.dll, name)
            function.restype = ctype_of(result)
            function.argtypes = [ctype_of(p) for p in split(parameters) if p.strip() != "void"]
            setattr(self, name.removeprefix("opamp_"), function)

    def constant(self, name):
        return self.constants["OPAMP_" + name]

    def name_of(self, prefix, value):
        """The enumerator with that prefix and value, without the prefix."""
        for name, number in self.constants.items():
            if name.startswith("OPAMP_" + prefix) and number == value:
                return name.removeprefix("OPAMP_" + prefix)
        return str(value)


def split(parameters):
    """Parameters at the top level; a function pointer's own stay inside it."""
    parts, depth, current = [], 0, ""
    for char in parameters:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += char
    return parts + [current]


LIB = Library()


class OpampError(Exception):
    """A call that was refused: its code by name, and what the library said."""

    def __init__(self, code, error=None):
        self.code = LIB.name_of("", code)
        self.error = error or {}
        super().__init__(f"{self.code} {self.error.get('text', '')}")


def error_dict(pointer):
    """A borrowed opamp_error as a dict, or None."""
    if not pointer:
        return None
    retry = ctypes.c_uint64()
    found = LIB.error_retry_in_ms(pointer, ctypes.byref(retry)) == 0
    return {
        "code": LIB.name_of("", LIB.error_code(pointer)),
        "kind": LIB.error_kind_name(LIB.error_kind(pointer)).decode(),
        "status": LIB.error_http_status(pointer),
        "text": LIB.error_text(pointer).decode(),
        "retry_in_ms": retry.value if found else None,
    }


def check(status, error=None):
    if status == 0:
        return
    shown = None
    if error is not None and error.value:
        shown = error_dict(error)
        LIB.error_free(error)
    raise OpampError(status, shown)


def call(function, *arguments):
    """Calls a function whose last parameter is an opamp_error out parameter."""
    error = ctypes.c_void_p()
    check(function(*arguments, ctypes.byref(error)), error)


def made(function, *arguments):
    """The handle that a constructor without an error parameter makes."""
    out = ctypes.c_void_p()
    check(function(*arguments, ctypes.byref(out)))
    return out


def attributes(values):
    """A filled opamp_attributes; free it."""
    handle = made(LIB.attributes_new)
    for key, value in values.items():
        put(LIB, "attributes_set", handle, (key.encode(),), value)
    return handle


def put(lib, prefix, handle, key, value):
    def function(kind):
        return getattr(lib, f"{prefix}_{kind}")

    if value is None:
        call(function("empty"), handle, *key)
    elif isinstance(value, bool):
        call(function("bool"), handle, *key, int(value))
    elif isinstance(value, int):
        call(function("int"), handle, *key, value)
    elif isinstance(value, float):
        call(function("double"), handle, *key, value)
    elif isinstance(value, str):
        call(function("string"), handle, *key, value.encode())
    elif isinstance(value, bytes):
        call(function("bytes"), handle, *key, value, len(value))
    elif isinstance(value, list):
        array = made(lib.array_new)
        for item in value:
            put(lib, "array_add", array, (), item)
        call(function("array"), handle, *key, array)
        lib.array_free(array)
    else:
        inner = attributes(value)
        call(function("map"), handle, *key, inner)
        lib.attributes_free(inner)


def config_map(files):
    """A map of {name: body or (content type, body)}; unref it."""
    handle = made(LIB.config_map_new)
    for name, value in files.items():
        content_type, body = value if isinstance(value, tuple) else (None, value)
        name = name.encode()
        call(LIB.config_map_add, handle, name, len(name), content_type.encode() if content_type else None, body, len(body))
    return handle


def files_of(handle):
    """A borrowed config map as {name: (content type, body)}."""
    files = {}
    for index in range(LIB.config_map_len(handle)):
        name, content_type, body = Slice(), Slice(), Slice()
        check(LIB.config_map_at(handle, index, *(ctypes.byref(s) for s in (name, content_type, body))))
        files[name.bytes().decode()] = (content_type.bytes().decode(), body.bytes())
    return files


class Client:
    """An opamp_client with a description; `with` unrefs it."""

    def __init__(self, endpoint, capabilities=("REPORTS_STATUS", "REPORTS_HEARTBEAT", "ACCEPTS_REMOTE_CONFIG",
                                               "REPORTS_REMOTE_CONFIG", "REPORTS_EFFECTIVE_CONFIG"),
                 description=None, ca=None, cert=None, options=None):
        self.handle = ctypes.c_void_p()
        call(LIB.client_new, endpoint.encode(), ctypes.byref(self.handle))
        if ca:
            call(LIB.client_set_ca_file, self.handle, str(ca).encode())
        if cert:
            call(LIB.client_set_client_certificate_files, self.handle, *(str(path).encode() for path in cert))
        if capabilities is not None:
            self.set_capabilities(*capabilities)
        if description is not False:
            self.set_description(description or {"service.name": "conformance"})
        for name, value in (options or {}).items():
            self.set_option(name, value)

    def set_capabilities(self, *names):
        bits = sum(LIB.constant("CAPABILITY_" + name) for name in names)
        call(LIB.client_set_capabilities, self.handle, bits)

    def set_description(self, identifying, other=None):
        handles = [attributes(identifying or {}), attributes(other or {})]
        try:
            call(LIB.client_set_description, self.handle, *handles)
        finally:
            for handle in handles:
                LIB.attributes_free(handle)

    def set_option(self, name, value):
        call(LIB.client_set_option, self.handle, LIB.constant("OPTION_" + name), value)

    def set_endpoint(self, endpoint):
        call(LIB.client_set_endpoint, self.handle, endpoint.encode())

    def option(self, name):
        value = ctypes.c_uint64()
        check(LIB.client_option(self.handle, LIB.constant("OPTION_" + name), ctypes.byref(value)))
        return value.value

    def set_header(self, name, value):
        call(LIB.client_set_header, self.handle, name.encode(), value if value is None else value.encode())

    def set_proxy(self, url):
        call(LIB.client_set_proxy, self.handle, url if url is None else url.encode())

    def set_proxy_header(self, name, value):
        call(LIB.client_set_proxy_header, self.handle, name.encode(), value if value is None else value.encode())

    def allow_redirect_to(self, origin):
        call(LIB.client_allow_redirect_to, self.handle, origin if origin is None else origin.encode())

    def use_proxy_environment(self, on):
        call(LIB.client_use_proxy_environment, self.handle, int(on))

    def set_effective_config(self, files):
        handle = config_map(files)
        try:
            call(LIB.client_set_effective_config, self.handle, handle)
        finally:
            LIB.config_map_unref(handle)

    def set_status(self, hash_, state, error=None):
        state = LIB.constant("REMOTE_CONFIG_" + state) if isinstance(state, str) else state
        text = error.encode() if isinstance(error, str) else error or b""
        call(LIB.client_set_remote_config_status, self.handle, hash_, len(hash_), state, text, len(text))

    @property
    def uid(self):
        uid = ctypes.create_string_buffer(16)
        check(LIB.client_instance_uid(self.handle, uid, 16))
        return uid.raw

    def unref(self):
        LIB.client_unref(self.handle)
        self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.handle:
            self.unref()


class Event:
    """One event, copied out and freed."""

    def __init__(self, handle):
        self.kind = LIB.event_kind_name(LIB.event_kind(handle)).decode()
        self.missed = LIB.event_missed(handle)
        self.error = error_dict(LIB.event_error(handle))
        self.ticket = self.uid = self.log = self.redirect = None
        urls, code = (ctypes.c_char_p(), ctypes.c_char_p()), ctypes.c_int32()
        if LIB.event_redirect(handle, *(ctypes.byref(url) for url in urls), ctypes.byref(code)) == 0:
            self.redirect = (*(url.value.decode() for url in urls), code.value)
        ticket, uid = ctypes.c_uint64(), Slice()
        if LIB.event_ticket(handle, ctypes.byref(ticket)) == 0:
            self.ticket = ticket.value
        if LIB.event_instance_uid(handle, ctypes.byref(uid)) == 0:
            self.uid = uid.bytes()
        level, line = ctypes.c_int32(), ctypes.c_char_p()
        if LIB.event_log(handle, ctypes.byref(level), ctypes.byref(line)) == 0:
            self.log = (level.value, line.value.decode())
        self.read_message(LIB.event_message(handle))
        request = LIB.event_request(handle)
        self.request = LIB.request_ref(request) if request else None
        LIB.event_free(handle)

    def read_message(self, message):
        self.files = self.hash = self.raw = None
        self.parts = self.flags = self.server_capabilities = 0
        if not message:
            return
        hash_, raw = Slice(), Slice()
        offered = LIB.message_remote_config(message, ctypes.byref(hash_))
        if offered:
            self.files, self.hash = files_of(offered), hash_.bytes()
        LIB.message_bytes(message, ctypes.byref(raw))
        self.raw = raw.bytes()
        self.parts = LIB.message_parts(message)
        self.flags = LIB.message_flags(message)
        self.server_capabilities = LIB.message_server_capabilities(message)

    def __repr__(self):
        return f"<{self.kind} {self.error or ''} {self.hash or ''}>"


class Agent:
    """An agent in POLL delivery whose events are taken one at a time; `with` starts, stops and frees it."""

    def __init__(self, client, interval_ms=None, log_level=0):
        self.client = client
        self.handle = ctypes.c_void_p()
        call(LIB.agent_new, client.handle, None, None, None, ctypes.byref(self.handle))
        call(LIB.agent_set_delivery, self.handle, LIB.constant("DELIVERY_POLL"))
        if log_level:
            call(LIB.agent_set_log_events, self.handle, log_level)
        if interval_ms is not None:
            self.set_interval(interval_ms)
        self.events = []

    def set_interval(self, milliseconds):
        call(LIB.agent_set_heartbeat_interval, self.handle, milliseconds)

    def start(self):
        call(LIB.agent_start, self.handle)
        return self

    def stop(self, timeout_ms=5000):
        check(LIB.agent_stop(self.handle, timeout_ms))

    def detach(self, timeout_ms=5000):
        check(LIB.agent_detach(self.handle, timeout_ms))

    def poll_now(self):
        check(LIB.agent_poll_now(self.handle))

    def report_full_state(self):
        check(LIB.agent_report_full_state(self.handle))

    def reconnect(self):
        check(LIB.agent_reconnect(self.handle))

    def flush(self, timeout_ms=5000):
        call(LIB.agent_flush, self.handle, timeout_ms)

    def send(self, data, tries=0):
        ticket = ctypes.c_uint64()
        call(LIB.agent_send, self.handle, data, len(data), tries, ctypes.byref(ticket))
        return ticket.value

    def next_event(self, timeout_ms=0):
        """The next event, or None when the time is over."""
        out = ctypes.c_void_p()
        status = LIB.agent_next_event(self.handle, timeout_ms, ctypes.byref(out))
        if LIB.name_of("", status) == "E_TIMEOUT":
            return None
        check(status)
        event = Event(out)
        self.events.append(event)
        return event

    def wait(self, *kinds, timeout=10.0):
        """The next event of one of these kinds; others are kept in `events`."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            event = self.next_event(int(left * 1000) + 1)
            if event and event.kind in kinds:
                return event
        raise AssertionError(f"no {kinds} within {timeout} s; events: {self.events}")

    def drain(self):
        """Everything that waits now, but not what comes meanwhile: in a storm that would have no end. Nothing once "stopped" was taken."""
        taken = []
        try:
            for _ in range(self.snapshot()["events_waiting"]):
                if event := self.next_event(0):
                    taken.append(event)
        except OpampError as error:
            if error.code != "E_STATE":
                raise
        return taken

    def apply(self, offer, state="APPLIED", error=None):
        """The host's verdict on an offered configuration."""
        self.client.set_status(offer.hash, state, error)

    def snapshot(self):
        handle = made(LIB.agent_snapshot, self.handle)
        try:
            return json.loads(LIB.snapshot_json(handle))
        finally:
            LIB.snapshot_free(handle)

    def free(self):
        LIB.agent_free(self.handle)
        self.handle = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.handle:
            self.free()
