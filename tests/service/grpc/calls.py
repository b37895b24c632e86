"""Calls by gRPC of an application in this process, whose address is a real one."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from chainzrule.service.app import Application
from tests.artifacts import Toy
from tests.processes import free_port
from tests.service.conftest import serve

grpc = pytest.importorskip("grpc")

from chainzrule.service.grpc.messages import HEALTH, INFERENCE, message  # noqa: E402 - it needs the extra

REQUEST = message("inference.ModelInferRequest")
ANSWER = message("inference.ModelInferResponse")
STREAMED = message("inference.ModelStreamInferResponse")


class Caller:
    """A client of one application.

    Attributes:
        http: asks the same application by HTTP.
        channel: gRPC's own channel.
    """

    def __init__(self, http: httpx.AsyncClient, channel: Any) -> None:
        self.http = http
        self.channel = channel

    @property
    def app(self) -> Application:
        app: Application = self.http.app  # type: ignore[attr-defined]
        return app

    async def ask(self, method: str, metadata: tuple[tuple[str, str], ...] = (), **content: Any) -> Any:
        """The answer to one of the protocol's plain methods."""
        call = self.channel.unary_unary(f"/{INFERENCE}/{method}")
        answer = await call(
            message(f"inference.{method}Request")(**content).SerializeToString(), timeout=60, metadata=metadata
        )
        return message(f"inference.{method}Response").FromString(answer)

    async def send(self, body: bytes, method: str = "ModelInfer", **more: Any) -> bytes:
        """The answer to a message as it is."""
        answer: bytes = await self.channel.unary_unary(f"/{INFERENCE}/{method}")(body, **{"timeout": 60, **more})
        return answer

    async def health(self, service: str = "") -> int:
        """The status that the health protocol says."""
        asked = message("grpc.health.v1.HealthCheckRequest")(service=service).SerializeToString()
        answer = await self.channel.unary_unary(f"/{HEALTH}/Check")(asked, timeout=60)
        status: int = message("grpc.health.v1.HealthCheckResponse").FromString(answer).status
        return status


@contextlib.asynccontextmanager
async def calling(root: Path, *toys: Toy, **settings: Any) -> AsyncIterator[Caller]:
    """A client of an application that serves `toys` from `root`, by gRPC too."""
    port = free_port()
    async with (
        serve(root, *toys, grpc_port=port, **settings) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield Caller(http, channel)


@contextlib.contextmanager
def refused(code: str, *words: str) -> Any:
    """Expects a call to end with this status, and details that have these words."""
    with pytest.raises(grpc.RpcError) as caught:
        yield caught
    assert caught.value.code().name == code, caught.value.details()
    for word in words:
        assert word in caught.value.details()


def features(rows: Any) -> dict[str, Any]:
    """The one input of an all-numeric model, without its data."""
    return {"name": "features", "datatype": "FP32", "shape": list(np.shape(rows))}


def raw(model: str, rows: Any, **more: Any) -> dict[str, Any]:
    """A request whose data are raw."""
    data = np.asarray(rows, "<f4").tobytes()
    return {"model_name": model, "inputs": [features(rows)], "raw_input_contents": [data], **more}


def typed(model: str, rows: Any, **more: Any) -> dict[str, Any]:
    """A request whose data are numbers."""
    contents = {"fp32_contents": np.ravel(rows).tolist()}
    return {"model_name": model, "inputs": [{**features(rows), "contents": contents}], **more}


def outputs(answer: Any) -> dict[str, Any]:
    """An answer's outputs by name, as arrays and lists of texts."""
    found: dict[str, Any] = {}
    for at, tensor in enumerate(answer.outputs):
        shape = tuple(tensor.shape)
        if not answer.raw_output_contents and tensor.datatype == "BYTES":
            found[tensor.name] = [text.decode() for text in tensor.contents.bytes_contents]
        elif not answer.raw_output_contents:
            found[tensor.name] = np.array(tensor.contents.fp32_contents, np.float32).reshape(shape)
        elif tensor.datatype == "BYTES":
            found[tensor.name] = _texts(answer.raw_output_contents[at])
        else:
            found[tensor.name] = np.frombuffer(answer.raw_output_contents[at], "<f4").reshape(shape)
    return found


def _texts(content: bytes) -> list[str]:
    found, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "little")
        found.append(content[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return found
