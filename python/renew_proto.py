#!/usr/bin/env python3
"""Writes opamp/proto/_schema.py from proto/*.proto; needs grpcio-tools. `--check` only compares."""
import base64
import pathlib
import pprint
import subprocess
import sys
import tempfile
import zlib

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / "python/opamp/proto/_schema.py"
KINDS = {1: "double", 3: "int64", 4: "uint64", 6: "fixed64", 8: "bool", 9: "string", 11: "message", 12: "bytes", 14: "int32"}


def text():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "set")
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", "--include_imports", f"--descriptor_set_out={out}",
                        "opamp.proto"], check=True)
        raw = out.read_bytes()
    messages, enums = {}, {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(raw).file:
        module = file.name.replace(".proto", "_pb2")
        for message in file.message_type:
            entries = {nested.name: nested for nested in message.nested_type}
            messages[message.name] = (module, [row(field, message, entries) for field in message.field])
        for enum in file.enum_type:
            enums[enum.name] = {value.name: value.number for value in enum.value}
    packed = base64.b85encode(zlib.compress(raw, 9)).decode()
    return (f'"""Made by renew_proto.py from proto/*.proto."""\nfrom __future__ import annotations\n\n'
            f'# module; field name, number, kind, "" or repeated or map or a oneof, message or kind inside\n'
            f"MESSAGES: dict[str, tuple[str, list[tuple[str, int, str, str, str]]]] = {pprint.pformat(messages, width=150)}\n\nENUMS: dict[str, dict[str, int]] = {pprint.pformat(enums, width=150)}\n\nDESCRIPTORS = {packed!r}\n")


def row(field, message, entries):
    kind, inside, name = KINDS[field.type], "", field.type_name.split(".")[-1]
    label = "repeated" if field.label == 3 else message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
    if name in entries:
        value = entries[name].field[1]
        label, inside = "map", value.type_name.split(".")[-1] if value.type == 11 else ""
    elif field.type == 11:
        inside = name
    return (field.name, field.number, kind, label, inside)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if text() == OUT.read_text() else "opamp/proto/_schema.py is stale: run python/renew_proto.py")
    OUT.write_text(text())
