"""Reflection describes every service whole, so that tools can call it without its text."""

from typing import Any

import pytest

pytest.importorskip("grpc")

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from chainzrule.service.grpc.messages import POOL, REFLECTION, SERVICES, message
from tests.service.grpc.calls import Caller

pytestmark = pytest.mark.anyio


async def ask(caller: Caller, service: str, *questions: dict[str, Any]) -> list[Any]:
    package = service.rpartition(".")[0]
    stream = caller.channel.stream_stream(f"/{service}/ServerReflectionInfo")(timeout=60)
    for question in questions:
        await stream.write(message(f"{package}.ServerReflectionRequest")(**question).SerializeToString())
    await stream.done_writing()
    return [message(f"{package}.ServerReflectionResponse").FromString(text) async for text in stream]


@pytest.mark.parametrize("service", REFLECTION)
async def test_all_services_are_listed_and_described(caller: Caller, service: str) -> None:
    (listed,) = await ask(caller, service, {"list_services": ""})
    names = [one.name for one in listed.list_services_response.service]
    assert tuple(names) == SERVICES
    for name, answer in zip(
        names, await ask(caller, service, *({"file_containing_symbol": one} for one in names)), strict=True
    ):
        (text,) = answer.file_descriptor_response.file_descriptor_proto
        file = FileDescriptorProto.FromString(text)
        assert name in [f"{file.package}.{one.name}" for one in file.service]
        described = FileDescriptorProto()
        POOL.FindFileByName(file.name).CopyToProto(described)
        assert file == described


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"file_by_filename": "inference.proto"}, None),
        ({"file_by_filename": "secret.proto"}, 5),
        ({"file_containing_symbol": "inference.Nobody"}, 5),
        ({"all_extension_numbers_of_type": "inference.ModelConfig"}, 12),
        ({}, 12),
    ],
)
async def test_what_is_not_there_is_said(caller: Caller, question: dict[str, str], code: int | None) -> None:
    (answer,) = await ask(caller, REFLECTION[0], question)
    assert answer.HasField("error_response") == (code is not None)
    assert answer.error_response.error_code == (code or 0)
