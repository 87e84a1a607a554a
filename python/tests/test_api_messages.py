"""What the API hands out and takes: views without protobuf, real messages where it is installed."""
import copy
import ctypes
import inspect
import pickle
import re
import sys
import tracemalloc
import unittest
from dataclasses import asdict, fields, is_dataclass

from kit import ROOT, Devserver, Recorder, client_of, log_lines, running

import opamp
from opamp import MessageData, OpAMPClient, _events, _library, _log, _sends, messages
from opamp._message import message_class
from opamp.exceptions import OpAMPRemoteConfigDecodeException, OpAMPRemoteConfigParseException
from opamp.proto import anyvalue_pb2, opamp_pb2
from opamp.proto._schema import ENUMS

try:
    import google.protobuf
    from google.protobuf import message as protobuf_message
except ImportError:
    google = protobuf_message = None

HEADER = (ROOT / "include/opamp.h").read_text()


def remote_config(files):
    config_map = {name: {"body": body, "content_type": kind} for name, (kind, body) in files.items()}
    return message_class("AgentRemoteConfig")(config={"config_map": config_map}, config_hash=b"hash")


def answer_of(**parts):
    """A ServerToAgent as it is received."""
    return messages.decode_message(message_class("ServerToAgent")(**parts).SerializeToString())


class Views(unittest.TestCase):
    def test_they_have_protobufs_attributes_truth_value_and_look_ups(self):
        offer = answer_of(remote_config=remote_config({"a": ("text/plain", b"1"), "": ("", b"")})).remote_config
        files = offer.config.config_map
        self.assertTrue(offer and offer.config)
        self.assertEqual((len(files), "a" in files, "b" in files, sorted(files)), (2, True, False, ["", "a"]))
        self.assertEqual((files["a"].body, files["a"].content_type, files.get("b")), (b"1", "text/plain", None))
        self.assertIsInstance(files["a"].body, bytes)
        self.assertEqual((files["new"].body, offer.config_hash), (b"", b"hash"))
        self.assertFalse(answer_of().HasField("remote_config"))
        self.assertTrue(answer_of(remote_config={}).HasField("remote_config"))
        for call in (lambda: offer.HasField("config_hash"), lambda: offer.HasField("nothing")):
            self.assertRaises(ValueError, call)
        self.assertRaises(AttributeError, lambda: offer.nothing)
        with self.assertRaises(AttributeError):
            offer.config = None
        with self.assertRaises(TypeError):
            offer.config_hash = "text"

    def test_a_body_is_made_on_demand_and_never_copied_unasked(self):
        """64 MiB in the buffer, and nothing beside it until `body` is read."""
        size = 64 << 20
        body = bytes(size)
        raw = message_class("ServerToAgent")(remote_config=remote_config({"a": ("text/plain", body)})).SerializeToString()
        del body
        tracemalloc.start()
        try:
            data = MessageData.from_server_message(messages.decode_message(raw))
            file = data.remote_config.config.config_map["a"]
            lent = data.remote_config.files["a"]
            self.assertEqual((file.content_type, len(lent), lent.readonly), ("text/plain", size, True))
            self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)
            self.assertEqual(len(file.body), size)
            self.assertLess(tracemalloc.get_traced_memory()[1], size + (1 << 20))
        finally:
            tracemalloc.stop()

    def test_over_a_socket_a_kept_view_outlives_its_message_and_agent(self):
        with Devserver() as server:
            server.offer({"a": bytes(4 << 20) + b"end"})
            callbacks = Recorder()
            with running(client_of(server.endpoint), callbacks):
                lent = callbacks.offer().files["a"]
        self.assertEqual(bytes(lent[-3:]), b"end")

    def test_garbage_is_a_ValueError(self):
        for raw in (b"\xff", b"\x12\x05a", b"\x0b", b"\x80" * 11, b"\x0d\x01"):
            self.assertRaises(ValueError, messages.decode_message, raw)

    def test_bodies_are_not_shown(self):
        self.assertNotIn("SECRET", repr(answer_of(remote_config=remote_config({"a": ("", b"SECRET")}))))


class TheOldNames(unittest.TestCase):
    def test_every_module_has_its_names(self):
        names = {
            opamp: "MessageData OpAMPAgent OpAMPCallbacks OpAMPClient", opamp.agent: "OpAMPAgent", opamp.client: "OpAMPClient",
            opamp.callbacks: "OpAMPCallbacks MessageData",
            messages: "decode_message encode_message build_agent_description build_heartbeat_message build_agent_disconnect_message "
                      "build_remote_config_status_message build_remote_config_status_response_message build_effective_config_message "
                      "encode_effective_config_body build_full_state_message decode_remote_config",
            sys.modules["opamp.exceptions"]: "OpAMPTimeoutError OpAMPRemoteConfigParseException OpAMPRemoteConfigDecodeException",
            __import__("opamp.transport.base").transport.base: "HttpTransport base_headers",
            __import__("opamp.transport.requests").transport.requests: "RequestsTransport",
            sys.modules["opamp.transport.exceptions"]: "OpAMPException",
            opamp_pb2: "RemoteConfigStatuses_APPLIED AgentCapabilities_ReportsHealth ServerErrorResponse AgentRemoteConfig EffectiveConfig",
            anyvalue_pb2: "AnyValue KeyValue",
            __import__("opamp.version").version: "__version__",
        }
        for module, listed in names.items():
            for name in listed.split():
                self.assertTrue(hasattr(module, name), f"{module.__name__}.{name}")

    def test_parameters_and_defaults_are_the_old_ones(self):
        def defaults(function, *beside):
            return {name: p.default for name, p in inspect.signature(function).parameters.items()
                    if name != "self" and name not in beside and p.default is not p.empty}

        self.assertEqual(defaults(opamp.OpAMPAgent.__init__, "restart_after_fork", "name"),
                         {"interval": 30, "max_retries": 10, "heartbeat_max_retries": 1, "initial_backoff": 1.0})
        self.assertEqual(defaults(OpAMPClient.__init__), {
            "headers": None, "timeout_millis": 1000, "agent_non_identifying_attributes": None, "capabilities": 0x3007, "transport": None,
            "tls_certificate": True, "tls_client_certificate": None, "tls_client_key": None,
            # Ours alone.
            "tls_accept_expired_ca": False, "proxy": None, "proxy_headers": None, "allow_redirects_to": (), "instance_uid": None})
        self.assertEqual(defaults(opamp.OpAMPAgent.send), {"max_retries": None, "callback": None})
        self.assertEqual(defaults(opamp.OpAMPAgent.stop), {"timeout": None})
        self.assertEqual(defaults(OpAMPClient.update_remote_config_status), {"error_message": ""})

    def test_MessageData_is_a_dataclass_with_nothing_in_it_by_default(self):
        self.assertTrue(is_dataclass(MessageData))
        self.assertEqual({getattr(MessageData(), field.name) for field in fields(MessageData)}, {None})
        self.assertEqual(MessageData(remote_config=None), MessageData.from_server_message(answer_of()))

    def test_json_files_are_decoded_and_others_refused(self):
        good = remote_config({"a.json": ("application/json", b'{"k": [1]}'), "b": ("text/json", b"2")})
        self.assertEqual(sorted(OpAMPClient.decode_remote_config(good)), [("a.json", {"k": [1]}), ("b", 2)])
        with self.assertRaises(OpAMPRemoteConfigParseException):
            list(messages.decode_remote_config(remote_config({"a": ("text/yaml", b"a: 1")})))
        blank = remote_config({"a": ("application/json", b' {"k": 1}\n'), "b": ("application/json", b"[1] "), "c": ("application/json", b'"t"')})
        self.assertEqual(sorted(OpAMPClient.decode_remote_config(blank)), [("a", {"k": 1}), ("b", [1]), ("c", "t")])
        for body in (b"{", b"\xff", b"{} {}", b"[1],", b"", b"\xef\xbb\xbf{}"):
            with self.assertRaises(OpAMPRemoteConfigDecodeException):
                list(messages.decode_remote_config(remote_config({"a": ("application/json", body)})))

    def test_effective_configurations_are_encoded_by_their_content_type(self):
        client = client_of("url")
        made = client.update_effective_config({"a": {"k": 1}}, "application/json").config_map.config_map["a"]
        self.assertEqual((made.body, made.content_type), (b'{"k": 1}', "application/json"))
        self.assertEqual(messages.encode_effective_config_body("text/yaml", "ä"), "ä".encode())
        self.assertEqual(messages.encode_effective_config_body("x/y", memoryview(b"1")), b"1")
        self.assertRaises(ValueError, messages.encode_effective_config_body, "text/yaml", {})

    def test_an_entry_that_can_not_be_encoded_is_left_out_with_a_log_line_and_takes_no_other_with_it(self):
        """As in the old package: a callback that reports goes on."""
        endless = []
        endless.append(endless)
        for wrong, content_type in ({1}, "application/json"), (b"", "application/json"), (endless, "application/json"), ({"SECRET": 1}, "text/plain"):
            with self.subTest(content_type, wrong=wrong), log_lines() as lines:
                made = client_of("url").update_effective_config({"bad.json": wrong, "good.json": "1"}, content_type)
                self.assertEqual(list(made.config_map.config_map), ["good.json"])
                self.assertRegex("\n".join(lines), "bad.json is left out")
                self.assertNotIn("SECRET", "\n".join(lines))

    def test_an_enumeration_tells_names_and_values(self):
        statuses = opamp_pb2.RemoteConfigStatuses
        self.assertEqual(statuses.Name(opamp_pb2.RemoteConfigStatuses_APPLIED), "RemoteConfigStatuses_APPLIED")
        self.assertEqual(statuses.Value("RemoteConfigStatuses_FAILED"), opamp_pb2.RemoteConfigStatuses_FAILED)
        self.assertEqual(statuses.RemoteConfigStatuses_FAILED, opamp_pb2.RemoteConfigStatuses_FAILED)
        self.assertEqual(statuses.keys()[:2], ["RemoteConfigStatuses_UNSET", "RemoteConfigStatuses_APPLIED"])
        self.assertEqual(dict(statuses.items()), dict(zip(statuses.keys(), statuses.values())))
        self.assertRaises(ValueError, statuses.Name, 99)
        self.assertRaises(ValueError, statuses.Value, "APPLIED")
        self.assertRaises(AttributeError, getattr, statuses, "APPLIED")

    def test_what_a_callback_gets_may_be_copied_and_pickled(self):
        message = MessageData.from_server_message(answer_of(remote_config=remote_config({"a": ("", b"1" * 2000)})))
        for copied in (copy.deepcopy(message), pickle.loads(pickle.dumps(message)), MessageData(**asdict(message))):
            self.assertEqual(copied, message)
            self.assertEqual(copied.remote_config.config.config_map["a"].body, b"1" * 2000)

    def test_a_status_that_changes_nothing_is_None(self):
        client = client_of("url")
        self.assertEqual(client.update_remote_config_status(b"h", opamp_pb2.RemoteConfigStatuses_FAILED, "why").error_message, "why")
        self.assertIsNone(client.update_remote_config_status(b"h", opamp_pb2.RemoteConfigStatuses_FAILED, "why"))
        self.assertEqual(client.update_remote_config_status(b"h", opamp_pb2.RemoteConfigStatuses_APPLIED).status, 1)


@unittest.skipIf(google is None, "needs protobuf")
class WithProtobuf(unittest.TestCase):
    def test_the_module_holds_the_real_classes(self):
        self.assertTrue(issubclass(opamp_pb2.ServerToAgent, protobuf_message.Message))
        self.assertTrue(issubclass(anyvalue_pb2.AnyValue, protobuf_message.Message))

    def test_views_and_real_messages_say_the_same_bytes_and_convert(self):
        view = answer_of(instance_uid=b"u" * 16, remote_config=remote_config({"a": ("text/plain", b"\x00\xff"), "": ("", b"")}), flags=1,
                         error_response={"type": 2, "error_message": "ä", "retry_info": {"retry_after_nanoseconds": 2**63}})
        real = view.to_proto()
        self.assertIsInstance(real, opamp_pb2.ServerToAgent)
        self.assertEqual(real.remote_config.config.config_map["a"].body, b"\x00\xff")
        self.assertEqual(real.error_response.retry_info.retry_after_nanoseconds, 2**63)
        self.assertEqual(view, messages.decode_message(real.SerializeToString()))
        self.assertEqual(MessageData.from_server_message(real).remote_config.config_hash, b"hash")
        with self.assertRaises(protobuf_message.DecodeError):
            opamp_pb2.ServerToAgent.FromString(b"\xff")

    def test_every_kind_of_attribute_survives_both_ways(self):
        values = {"s": "ä", "t": True, "i": -5, "d": 0.5, "b": b"\xff", "n": None, "l": [1, "x"], "m": {"k": [None]}}
        view = messages.build_agent_description(values)
        real = opamp_pb2.AgentDescription.FromString(view.SerializeToString())
        got = {each.key: each.value for each in real.identifying_attributes}
        self.assertEqual((got["s"].string_value, got["t"].bool_value, got["i"].int_value, got["d"].double_value, got["b"].bytes_value),
                         ("ä", True, -5, 0.5, b"\xff"))
        self.assertIsNone(got["n"].WhichOneof("value"))
        self.assertEqual([each.WhichOneof("value") for each in got["l"].array_value.values], ["int_value", "string_value"])
        self.assertEqual(message_class("AgentDescription").FromString(real.SerializeToString()).SerializeToString(), view.SerializeToString())

    def test_the_api_takes_real_messages(self):
        """What a distribution builds itself, or gets from its own transport."""
        real = remote_config({"a": ("application/json", b"1")}).to_proto()
        self.assertEqual(list(OpAMPClient.decode_remote_config(real)), [("a", 1)])
        status = opamp_pb2.RemoteConfigStatus(last_remote_config_hash=b"h", status=opamp_pb2.RemoteConfigStatuses_APPLIED)
        built = opamp_pb2.AgentToServer.FromString(client_of("url").build_remote_config_status_response_message(status))
        self.assertEqual(built.remote_config_status, status)
        with Devserver() as server:
            client = client_of(server.endpoint)
            with running(client) as agent:
                agent.send(opamp_pb2.AgentToServer(effective_config=client.update_effective_config({"a": "1"}, "t").to_proto()))
                server.wait("part=effective_config")
            server.wait("disconnected")
            self.assertEqual(server.problems(), [])


@unittest.skipIf(google is not None, "needs an environment without protobuf")
class WithoutProtobuf(unittest.TestCase):
    def test_the_classes_are_our_own_and_to_proto_is_an_ImportError(self):
        made = opamp_pb2.ServerErrorResponse(type=opamp_pb2.ServerErrorResponseType_BadRequest, error_message="no")
        self.assertEqual(opamp_pb2.ServerErrorResponse.FromString(made.SerializeToString()).error_message, "no")
        self.assertRaises(ImportError, made.to_proto)


class TheHeader(unittest.TestCase):
    """What this package holds as numbers is what include/opamp.h says."""

    def number(self, name):
        found = re.search(rf"\bOPAMP_{name} = (-?\d+)", HEADER)
        self.assertTrue(found, name)
        return int(found.group(1))

    def test_status_codes_options_and_delivery(self):
        for name in ("OK", "E_INVALID_ARG", "E_STATE", "E_TIMEOUT", "E_AGAIN", "E_CAPABILITY", "DELIVERY_POLL"):
            self.assertEqual(getattr(_library, name), self.number(name), name)
        options = [name for name in vars(_library) if f"OPAMP_OPTION_{name} =" in HEADER]
        self.assertGreaterEqual(len(options), 8)
        for name in options:
            self.assertEqual(getattr(_library, name), self.number(f"OPTION_{name}"), name)

    def test_kinds_of_events_and_levels_of_the_log(self):
        for name in ("CONNECTED", "CONNECT_FAILED", "SERVER_ERROR", "MESSAGE", "REQUEST", "SEND_DONE", "NEW_INSTANCE_UID", "WARNING", "LOG", "STOPPED"):
            self.assertEqual(getattr(_events, name), self.number(f"EVENT_{name}"), name)
        for level, name in ((40, "ERROR"), (30, "WARN"), (20, "INFO"), (10, "DEBUG")):
            self.assertEqual(_log.LEVELS[self.number(f"LOG_{name}")], level)

    def test_capabilities_and_verdicts(self):
        def upper(name):
            return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.partition("_")[2].replace("OpAMP", "Opamp")).upper()

        for name, value in ENUMS["AgentCapabilities"].items():
            if value and f"OPAMP_CAPABILITY_{upper(name)} =" in HEADER:
                self.assertEqual(value, self.number(f"CAPABILITY_{upper(name)}"), name)
        self.assertEqual(self.number("CAPABILITY_REPORTS_HEARTBEAT"), opamp_pb2.AgentCapabilities_ReportsHeartbeat)
        for name in ("UNSET", "APPLIED", "APPLYING", "FAILED"):
            self.assertEqual(self.number(f"REMOTE_CONFIG_{name}"), getattr(opamp_pb2, f"RemoteConfigStatuses_{name}"))

    def test_every_prototype_is_the_headers(self):
        """A wrong letter would read a wrong register."""
        letters = {"int32_t": "i", "opamp_status": "i", "int64_t": "I", "uint32_t": "u", "uint64_t": "U", "size_t": "z", "double": "d",
                   "const char *": "s", "void": "v"}

        def letter(text):
            text = re.sub(r"\s*\w+$", "", text.strip()) if not text.strip().endswith("*") else text.strip()
            return letters.get(text, "p" if text.endswith("*") or text == "function" else None)

        plain = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.S)
        for name, prototype in _library.PROTOTYPES.items():
            found = re.search(rf"^([^\n;#]*?)\bopamp_{name}\(([^;]*)\);", plain, re.M)
            self.assertTrue(found, name)
            parameters = re.sub(r"void \(\*\w+\)\([^)]*\)", "function x", " ".join(found.group(2).split()))
            wanted = "".join(letter(each) for each in [found.group(1).strip() + " x"] + [p for p in parameters.split(",") if p.strip()])
            self.assertEqual(prototype, wanted, name)

    def test_the_parts_that_are_not_reported_are_those_that_the_library_refuses(self):
        lib = _library.required()
        with Devserver() as server:
            client = client_of(server.endpoint)
            with running(client) as agent:
                for name, number, *_ in message_class("AgentToServer")._fields.values():
                    if number < 3 or number in (4, 10):
                        continue
                    part = bytes([number << 3 | 2, 0])
                    error = ctypes.c_void_p()
                    status = lib.agent_send(agent._handle.pointer, part, len(part), 1, None, ctypes.byref(error))
                    if error.value:
                        lib.error_free(error)
                    self.assertEqual(status == -5, number in _sends.NOT_REPORTED, name)
        self.assertEqual(self.number("E_UNSUPPORTED"), -5)


if __name__ == "__main__":
    unittest.main()
