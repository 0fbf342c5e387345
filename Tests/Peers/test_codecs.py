"""Holds FerryAPI's codecs, descriptors and JSON against protoc's and google.protobuf's own.

Needs grpcio-tools and a built codec-peer (swift build --product codec-peer). FERRY_BIN_DIR names the folder it is in.
"""

import importlib.util
import json
import os
import pathlib
import struct
import subprocess

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FERRY_BIN_DIR", ROOT / ".build" / "debug"))
PEER = BIN / "codec-peer"
WIRE_COUNT = 1000
JSON_COUNT = 200
SEED = int(os.environ.get("FERRY_CODEC_SEED", "20260203"))


def peer(*arguments, given=b""):
    done = subprocess.run([str(PEER), *map(str, arguments)], input=given, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[:4000]
    return done.stdout


def frames(raw):
    found, position = [], 0
    while position < len(raw):
        (length,) = struct.unpack_from(">I", raw, position)
        position += 4
        assert position + length <= len(raw), "a frame is cut off"
        found.append(raw[position : position + length])
        position += length
    return found


@pytest.fixture(scope="session")
def protoc_files(tmp_path_factory):
    """protoc's FileDescriptorProto of each .proto file, by name."""
    from grpc_tools import protoc

    well_known = pathlib.Path(importlib.util.find_spec("grpc_tools").origin).parent / "_proto"
    out = tmp_path_factory.mktemp("codecs") / "all.pb"
    sources = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto"))
    arguments = ["protoc", f"-I{ROOT / 'proto'}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={out}"]
    assert protoc.main(arguments + sources) == 0
    return {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file}


@pytest.fixture(scope="session")
def classes(protoc_files):
    """google.protobuf's class of each message, by full name."""
    pool = descriptor_pool.DescriptorPool()
    left = dict(protoc_files)
    while left:
        for name, file in list(left.items()):
            if not any(dependency in left for dependency in file.dependency):
                pool.Add(left.pop(name))
    return {
        f"{file.package}.{message.name}": message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{file.package}.{message.name}")
        )
        for file in protoc_files.values()
        for message in file.message_type
    }


def swift_names():
    """The message names that Swift knows; none where codec-peer is not built, as test_messages_are_complete tells."""
    return peer("names").decode().split() if PEER.exists() else []


NAMES = swift_names()


def test_messages_are_complete(classes):
    """Swift has every message of the .proto files and no other."""
    assert PEER.exists(), f"{PEER} is missing: run 'swift build --product codec-peer'"
    assert sorted(NAMES) == sorted(classes)


def test_descriptors_equal_protocs(protoc_files):
    """Each FileDescriptorProto that reflection hands out says what protoc's says."""
    mine = [descriptor_pb2.FileDescriptorProto.FromString(frame) for frame in frames(peer("descriptors"))]
    assert sorted(file.name for file in mine) == sorted(protoc_files)
    for file in mine:
        theirs = descriptor_pb2.FileDescriptorProto()
        theirs.CopyFrom(protoc_files[file.name])
        theirs.ClearField("source_code_info")
        if file.package == "google.protobuf":
            theirs.ClearField("options")  # where other languages put their classes
        assert len(file.FindInitializationErrors()) == 0
        assert file == theirs, file.name


@pytest.mark.parametrize("name", NAMES)
def test_messages_survive_the_round_trip(classes, name):
    """Swift -> Python -> Swift gives the same message in the same bytes."""
    message_class = classes[name]
    sent = frames(peer("generate", name, WIRE_COUNT, SEED))
    assert len(sent) == WIRE_COUNT
    assert not message_class.DESCRIPTOR.fields or len(set(sent)) > 1
    returned = []
    for index, raw in enumerate(sent):
        again = message_class.FromString(raw).SerializeToString(deterministic=True)
        assert again == raw, f"message {index}"
        returned.append(struct.pack(">I", len(again)) + again)
    peer("check", name, WIRE_COUNT, SEED, given=b"".join(returned))


def assert_in_declared_order(value, descriptor):
    """A JSON object's keys, at every depth, in the order of the .proto file."""
    order = {field.json_name: index for index, field in enumerate(descriptor.fields)}
    assert [order[key] for key in value] == sorted(order[key] for key in value), descriptor.full_name
    for field in descriptor.fields:
        inner = value.get(field.json_name)
        if field.message_type is None or inner is None or field.message_type.full_name == "google.protobuf.Timestamp":
            continue
        for item in inner if isinstance(inner, list) else [inner]:
            assert_in_declared_order(item, field.message_type)


@pytest.mark.parametrize("name", NAMES)
def test_json_both_ways(classes, name):
    """json_format reads Swift's JSON, writes the same, and Swift reads json_format's."""
    message_class = classes[name]
    lines = peer("json", name, JSON_COUNT, SEED).splitlines()
    with_defaults = peer("json-defaults", name, JSON_COUNT, SEED).splitlines()
    assert len(lines) == len(with_defaults) == JSON_COUNT
    camel, snake = [], []
    for line, full in zip(lines, with_defaults):
        message = json_format.Parse(line, message_class())
        assert json_format.Parse(full, message_class()) == message
        value = json_format.MessageToDict(message)
        assert json.loads(line) == value
        assert json.loads(full) == json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
        if name != "google.protobuf.Timestamp":
            assert_in_declared_order(json.loads(line), message_class.DESCRIPTOR)
            assert_in_declared_order(json.loads(full), message_class.DESCRIPTOR)
        camel.append(json_format.MessageToJson(message, indent=None).encode())
        snake.append(json_format.MessageToJson(message, indent=None, preserving_proto_field_name=True).encode())
    peer("check-json", name, JSON_COUNT, SEED, given=b"\n".join(camel))
    peer("check-json", name, JSON_COUNT, SEED, given=b"\n".join(snake))
    peer("check-json", name, JSON_COUNT, SEED, given=b"\n".join(with_defaults))


def refusal(name, returned):
    given = b"".join(struct.pack(">I", len(raw)) + raw for raw in returned)
    done = subprocess.run([str(PEER), "check", name, "20", str(SEED)], input=given, capture_output=True, timeout=60)
    return done.stderr.decode() if done.returncode else None


def test_the_check_can_fail(classes):
    """codec-peer notices a changed value, a missing message and lost unknown fields."""
    name = "fileferry.v1.Delivery"
    sent = frames(peer("generate", name, 20, SEED))
    assert refusal(name, sent) is None

    message = classes[name].FromString(sent[3])
    message.retries = message.retries ^ 1
    changed = sent[:3] + [message.SerializeToString(deterministic=True)] + sent[4:]
    assert "message 3 came back different" in refusal(name, changed)

    assert "19 came back" in refusal(name, sent[1:])

    lossy = [classes[name].FromString(raw) for raw in sent]
    for message in lossy:
        message.DiscardUnknownFields()
    assert "came back different" in refusal(name, [message.SerializeToString(deterministic=True) for message in lossy])
