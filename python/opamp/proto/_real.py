"""Protobuf's own classes of the messages, made when first asked for."""
from __future__ import annotations

from ._schema import DESCRIPTORS, MESSAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_real: dict[str, Any] = {}


def real(name: str) -> Any:
    """The protobuf class of a message. Raises ImportError where protobuf is not installed."""
    if not _real:
        import base64
        import zlib
        from importlib import import_module

        descriptor_pb2: Any = import_module("google.protobuf.descriptor_pb2")
        descriptor_pool: Any = import_module("google.protobuf.descriptor_pool")
        factory: Any = import_module("google.protobuf.message_factory")
        # One of its own: another package may have the same names in the default one.
        pool = descriptor_pool.DescriptorPool()
        packed = zlib.decompress(base64.b85decode(DESCRIPTORS))
        files = descriptor_pb2.FileDescriptorSet.FromString(packed)
        for file in files.file:
            pool.AddSerializedFile(file.SerializeToString())
        make = getattr(factory, "GetMessageClass", None)
        make = make or factory.MessageFactory(pool).GetPrototype
        for each in MESSAGES:
            _real[each] = make(pool.FindMessageTypeByName("opamp.proto." + each))
    return _real[name]
