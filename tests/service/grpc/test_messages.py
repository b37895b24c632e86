"""The messages are what the protocols' text says, and are read without a fault that has no name."""

import pytest

from chainzrule.service.errors import MalformedRequest
from tests.processes import ROOT

pytest.importorskip("grpc")

from chainzrule.service.grpc.messages import POOL, SERVICES, message, parsed

PROTOS = ROOT / "service/grpc/protos"


def test_the_descriptors_are_what_protoc_makes_of_the_text() -> None:
    """`make protos` writes them."""
    tools = pytest.importorskip("grpc_tools.protoc", reason="pip install grpcio-tools")
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    made = ROOT / "build" / "protos.binpb"
    made.parent.mkdir(exist_ok=True)
    files = sorted(str(path) for path in PROTOS.glob("*.proto"))
    assert tools.main(["protoc", f"-I{PROTOS}", f"--descriptor_set_out={made}", *files]) == 0
    written = FileDescriptorSet.FromString((PROTOS.parent / "protos.binpb").read_bytes())
    assert FileDescriptorSet.FromString(made.read_bytes()) == written


def test_every_text_has_its_descriptor() -> None:
    for path in PROTOS.glob("*.proto"):
        file = POOL.FindFileByName(path.name)
        text = path.read_text()
        for name in file.message_types_by_name:
            assert f"message {name} " in text
        assert text.count("\nmessage ") == len(file.message_types_by_name)
    assert all(POOL.FindServiceByName(name).methods for name in SERVICES)


def test_what_is_no_message_has_an_error_of_ours() -> None:
    kind = message("inference.ModelReadyRequest")
    assert parsed(kind, b"\x0a\x03toy").name == "toy"
    for text in (b"\x0a\x04toy", b"\xff", b"\x0a\x02\xff\xfe"):
        with pytest.raises(MalformedRequest, match="cannot be read"):
            parsed(kind, text)
