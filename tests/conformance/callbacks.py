"""Agents that are told by callbacks, from Python."""
import ctypes
import threading

from binding import LIB, Agent, Slice, call, check, error_dict, files_of

P = ctypes.c_void_p
SLOTS = {
    "on_connect": (P, P, P), "on_connect_failed": (P, P, P, P), "on_error": (P, P, P, P), "on_message": (P, P, P, P),
    "on_request": (P, P, P, P), "on_send_done": (P, P, ctypes.c_uint64, P, P), "on_new_instance_uid": (P, P, P, P),
    "on_warning": (P, P, P, P), "on_log": (P, P, ctypes.c_int32, ctypes.c_char_p, P), "on_stopped": (P, P, P),
    "on_redirect": (P, P, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int32, P),
}
TYPES = {name: ctypes.CFUNCTYPE(None, *parameters) for name, parameters in SLOTS.items()}
FREE_USER = ctypes.CFUNCTYPE(None, P)


class Callbacks(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), *TYPES.items()]


class CallbackAgent(Agent):
    """`calls` lists (slot, thread id, content) as they come; `hooks` are run in the callback, with that content.

    Slots that are neither in `hooks` nor in `slots` stay NULL.
    """

    def __init__(self, client, interval_ms=None, delivery="THREAD", hooks=None, slots=tuple(SLOTS), log_level=0):
        self.client, self.events, self.calls = client, [], []
        self.hooks = dict(hooks or {})
        self.running = 0
        self.most_at_once = 0
        self.user_freed = 0
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.vtable = Callbacks()
        check(LIB.callbacks_init(ctypes.byref(self.vtable), ctypes.sizeof(self.vtable)))
        for name in [*slots, *self.hooks]:
            setattr(self.vtable, name, TYPES[name](self.entry(name)))
        self.free_user = FREE_USER(self.on_free_user)
        self.handle = ctypes.c_void_p()
        call(LIB.agent_new, client.handle, ctypes.byref(self.vtable), None, ctypes.cast(self.free_user, P),
             ctypes.byref(self.handle))
        call(LIB.agent_set_delivery, self.handle, LIB.constant("DELIVERY_" + delivery))
        if log_level:
            call(LIB.agent_set_log_events, self.handle, log_level)
        if interval_ms is not None:
            self.set_interval(interval_ms)

    def entry(self, name):
        def called(*arguments):
            content = self.content(name, arguments)
            with self.changed:
                self.running += 1
                self.most_at_once = max(self.most_at_once, self.running)
                self.calls.append((name, threading.get_native_id(), content))
                self.changed.notify_all()
            if name in self.hooks:
                self.hooks[name](content)
            with self.changed:
                self.running -= 1
        return called

    @staticmethod
    def content(name, arguments):
        if name in ("on_connect_failed", "on_error", "on_warning"):
            return error_dict(arguments[2])
        if name == "on_message":
            hash_ = Slice()
            offered = LIB.message_remote_config(arguments[2], ctypes.byref(hash_))
            return (hash_.bytes(), files_of(offered)) if offered else None
        if name == "on_new_instance_uid":
            return ctypes.string_at(arguments[2], 16)
        if name == "on_log":
            return arguments[2], arguments[3].decode()
        if name == "on_redirect":
            return arguments[2].decode(), arguments[3].decode(), arguments[4]
        if name == "on_send_done":
            return arguments[2], error_dict(arguments[3])
        return None

    def on_free_user(self, _):
        with self.changed:
            self.user_freed += 1
            self.changed.notify_all()

    def of(self, name):
        with self.lock:
            return [content for slot, _, content in self.calls if slot == name]

    def wait_call(self, name, count=1, timeout=10.0):
        """Until that slot was called so often; what came with the last of these calls."""
        with self.changed:
            def come():
                return [content for slot, _, content in self.calls if slot == name]
            if not self.changed.wait_for(lambda: len(come()) >= count, timeout):
                raise AssertionError(f"{name} came {len(come())} times, not {count}: {self.calls}")
            return come()[count - 1]

    def wait_freed(self, timeout=10.0):
        with self.changed:
            if not self.changed.wait_for(lambda: self.user_freed, timeout):
                raise AssertionError("the user data was never freed")

    def dispatch(self, timeout_ms=0):
        """How many calls were served; None when nothing came in time."""
        served = ctypes.c_uint32()
        status = LIB.agent_dispatch(self.handle, timeout_ms, ctypes.byref(served))
        if LIB.name_of("", status) == "E_TIMEOUT":
            return None
        check(status)
        return served.value
