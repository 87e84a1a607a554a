"""Builds and reads protocol messages, without protobuf; both our views and real protobuf messages
are taken."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import _log
from ._message import message_class
from ._wire import encoded_number
from .exceptions import OpAMPRemoteConfigDecodeException, OpAMPRemoteConfigParseException
from .proto._names import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


def _begin(number: int) -> bytes:
    """What stands before the length of a field of bytes."""
    return encoded_number(number << 3 | 2)


_MAP = _begin(fields("EffectiveConfig")["config_map"])
_ENTRY = _begin(fields("AgentConfigMap")["config_map"])
# Of each entry of a map, whatever the schema says.
_KEY, _VALUE = _begin(1), _begin(2)
_BODY, _TYPE = (_begin(fields("AgentConfigFile")[name]) for name in ("body", "content_type"))


def decode_message(data: bytes | memoryview) -> Any:
    """The ServerToAgent of these bytes. Raises ValueError."""
    return message_class("ServerToAgent").FromString(data)


def encode_message(data: Any) -> bytes:
    """The bytes of an AgentToServer."""
    return bytes(data.SerializeToString())


def any_value(value: Any, depth: int = 0) -> dict[str, Any]:
    """An AnyValue's fields. Raises ValueError for a type that has no place in it."""
    if depth > 32:
        raise ValueError("attributes nest deeper than 32 levels")
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return {"int_value": value}
    if isinstance(value, float):
        return {"double_value": value}
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes_value": bytes(value)}  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, Mapping):
        pairs = key_values(value, depth + 1)  # pyright: ignore[reportUnknownArgumentType]
        return {"kvlist_value": {"values": pairs}}
    if isinstance(value, Sequence):
        several = [any_value(each, depth + 1)
                   for each in value]  # pyright: ignore[reportUnknownVariableType]
        return {"array_value": {"values": several}}
    raise ValueError(f"Invalid type {type(value)} of value {value!r}")


def key_values(values: Mapping[str, Any], depth: int = 0) -> list[dict[str, Any]]:
    return [{"key": key, "value": any_value(value, depth)} for key, value in values.items()]


def build_agent_description(identifying_attributes: Mapping[str, Any],
                            non_identifying_attributes: Mapping[str, Any] | None = None) -> Any:
    """An AgentDescription. Raises ValueError for values that are no attribute."""
    return message_class("AgentDescription")(
        identifying_attributes=key_values(identifying_attributes),
        non_identifying_attributes=key_values(non_identifying_attributes or {}))


def _agent_to_server(instance_uid: bytes, sequence_num: int, capabilities: int,
                     **parts: Any) -> Any:
    return message_class("AgentToServer")(
        instance_uid=instance_uid, sequence_num=sequence_num, capabilities=capabilities, **parts)


def build_heartbeat_message(instance_uid: bytes, sequence_num: int, capabilities: int) -> Any:
    """An AgentToServer without news."""
    return _agent_to_server(instance_uid, sequence_num, capabilities)


def build_agent_disconnect_message(instance_uid: bytes, sequence_num: int,
                                   capabilities: int) -> Any:
    """An AgentToServer that says goodbye."""
    return _agent_to_server(instance_uid, sequence_num, capabilities, agent_disconnect={})


def build_remote_config_status_message(last_remote_config_hash: bytes, status: int,
                                       error_message: str = "") -> Any:
    """A RemoteConfigStatus."""
    return message_class("RemoteConfigStatus")(
        last_remote_config_hash=last_remote_config_hash, status=status,
        error_message=error_message)


def build_remote_config_status_response_message(
        instance_uid: bytes, sequence_num: int, capabilities: int,
        remote_config_status: Any) -> Any:
    """An AgentToServer with a RemoteConfigStatus."""
    return _agent_to_server(instance_uid, sequence_num, capabilities,
                            remote_config_status=remote_config_status)


def build_effective_config_message(config: Mapping[str, Any], content_type: str) -> Any:
    """An EffectiveConfig of named values. One that can not be encoded is left out, and an error is
    logged."""
    names: list[object] = [content_type, *config]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("the names of configurations and their content_type must be text")
    # Field by field: a view for each of a thousand files would take longer than all else.
    entries: list[bytes] = []
    kind = content_type.encode("utf-8", "replace")
    kind = _TYPE + encoded_number(len(kind)) + kind if kind else b""
    encoded = _body_encoder(content_type)
    for name, value in config.items():
        key = name.encode("utf-8", "replace")
        try:
            body = encoded(value)
        except ValueError as error:
            _log.logger("messages").error(
                "%s is left out of the effective configuration: %s", name, error)
            continue
        head = _KEY + encoded_number(len(key)) + key + _VALUE
        size = _BODY + encoded_number(len(body))
        length = len(size) + len(body) + len(kind)
        head += encoded_number(length) + size
        entries += (_ENTRY, encoded_number(len(head) + length - len(size)), head, body, kind)
    whole = sum(map(len, entries))
    encoded_map = b"".join([_MAP, encoded_number(whole), *entries])
    return message_class("EffectiveConfig").FromString(encoded_map)


def encode_effective_config_body(content_type: str, value: Any) -> bytes:
    """JSON for `application/json`, else text or bytes as they are. Raises ValueError for anything
    else."""
    return _body_encoder(content_type)(value)


def _body_encoder(content_type: str) -> Callable[[Any], bytes]:
    if content_type == "application/json":
        import json

        encode = json.JSONEncoder().encode

        def as_json(value: Any) -> bytes:
            try:
                return encode(value).encode()
            except (TypeError, RecursionError) as error:
                raise ValueError(f"value: {error}") from error

        return as_json

    def as_it_is(value: Any) -> bytes:
        if isinstance(value, str):
            return value.encode("utf-8", "replace")
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)  # pyright: ignore[reportUnknownArgumentType]
        raise ValueError(f"value: {type(value).__name__} can not be encoded as {content_type}")

    return as_it_is


def build_full_state_message(instance_uid: bytes, sequence_num: int, agent_description: Any,
                             capabilities: int, remote_config_status: Any,
                             effective_config: Any) -> Any:
    """An AgentToServer with everything."""
    return _agent_to_server(
        instance_uid, sequence_num, capabilities, agent_description=agent_description,
        remote_config_status=remote_config_status, effective_config=effective_config)


def decode_remote_config(remote_config: Any) -> Iterator[tuple[str, Any]]:
    """Name and decoded value of each JSON file. Raises OpAMPRemoteConfigParseException for another
    content type, and OpAMPRemoteConfigDecodeException for what is no JSON."""
    import json

    decoder = json.JSONDecoder()
    for name, file in remote_config.config.config_map.items():
        kind = file.content_type
        if kind not in ("application/json", "text/json"):
            raise OpAMPRemoteConfigParseException(f"Cannot parse {name} with content type {kind}")
        try:
            text = file.body.decode("utf-8")
            # An object or array with nothing around it needs no search for blanks.
            value, end = decoder.raw_decode(text) if text[:1] in ("{", "[") else (None, -1)
            if end != len(text):
                value = decoder.decode(text)
        except (ValueError, RecursionError) as error:
            raise OpAMPRemoteConfigDecodeException(
                f"Failed to decode {name} with content type {kind}: {error}") from error
        yield name, value
