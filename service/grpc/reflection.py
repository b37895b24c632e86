"""Answers gRPC's reflection protocol, by which tools such as grpcurl learn what the server answers."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc import StatusCode

from chainzrule.service.grpc.call import Rpc
from chainzrule.service.grpc.door import SMALL, Door
from chainzrule.service.grpc.messages import POOL, SERVICES, message, parsed


def reflection_handler(door: Door, service: str) -> Callable[[Rpc], Awaitable[None]]:
    """Returns what answers questions by one version of the protocol."""
    package = service.rpartition(".")[0]
    request, response = (message(f"{package}.ServerReflection{part}") for part in ("Request", "Response"))

    async def reflect(rpc: Rpc) -> None:
        while (text := await door.next_message(rpc)) is not None:
            asked = parsed(request, text[:SMALL])
            answer = response(valid_host=asked.host, original_request=asked, **answer_to(asked))
            await rpc.write(answer.SerializeToString())

    return reflect


def answer_to(asked: Any) -> dict[str, Any]:
    """Returns the answer to one question, as the member of the response that holds it."""
    kind = asked.WhichOneof("message_request")
    if kind == "list_services":
        return {"list_services_response": {"service": [{"name": name} for name in SERVICES]}}
    find = {"file_by_filename": POOL.FindFileByName, "file_containing_symbol": POOL.FindFileContainingSymbol}.get(kind)
    if find is None:
        return _failure(StatusCode.UNIMPLEMENTED, "there are no extensions here; list the services")
    try:
        files = list(_with_needed(find(getattr(asked, kind))))
    except KeyError:
        return _failure(StatusCode.NOT_FOUND, "there is no such file or symbol; list the services")
    return {"file_descriptor_response": {"file_descriptor_proto": files}}


def _with_needed(file: FileDescriptor) -> Iterator[bytes]:
    """Yields a file, and those that it imports."""
    described = FileDescriptorProto()
    file.CopyToProto(described)
    yield described.SerializeToString()
    for needed in file.dependencies:
        yield from _with_needed(needed)


def _failure(code: StatusCode, text: str) -> dict[str, Any]:
    return {"error_response": {"error_code": code.value[0], "error_message": text}}
