"""Makes the classes of the protocols' messages from their descriptors.

The folder `protos` has the protocols' text, and `protos.binpb` is what protoc makes of it. The classes are in a pool of
their own, so that a process may have another library's classes of the same names.
"""

from importlib.resources import files
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from chainzrule.service.errors import MalformedRequest

INFERENCE = "inference.GRPCInferenceService"
HEALTH = "grpc.health.v1.Health"
REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
SERVICES = (INFERENCE, HEALTH, *REFLECTION)


def _pool() -> DescriptorPool:
    described = FileDescriptorSet.FromString(files(__package__).joinpath("protos.binpb").read_bytes())
    pool = DescriptorPool()
    for file in described.file:
        pool.Add(file)
    return pool


POOL = _pool()


def message(name: str) -> Any:
    """Returns the class of a message by its full name."""
    return GetMessageClass(POOL.FindMessageTypeByName(name))


def parsed(kind: type[Message], text: bytes) -> Any:
    """Returns the message in a text; raises `MalformedRequest` where it holds none of this kind."""
    try:
        return kind.FromString(text)
    except DecodeError:
        raise MalformedRequest("the message cannot be read as the one that this method takes") from None
