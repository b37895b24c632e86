"""Requests and answers of the protocol, written and read independently of the service's own code."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from chainzrule.service.api.oip.schemas import InferenceAnswer
from tests.artifacts import MIXED, Toy

LENGTH = "Inference-Header-Content-Length"
OCTETS = "application/octet-stream"


@dataclass
class Tensor:
    """An input: its data as a list, or as bytes for the binary extension."""

    name: str
    shape: list[int]
    datatype: str
    data: Any
    more: dict[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        described = {"name": self.name, "shape": self.shape, "datatype": self.datatype}
        if isinstance(self.data, bytes):
            described["parameters"] = {"binary_data_size": len(self.data)}
        else:
            described["data"] = self.data
        return {**described, **self.more}


def floats(values: Any) -> bytes:
    """FP32 data."""
    return np.asarray(values, dtype="<f4").tobytes()


def texts(*values: str | bytes) -> bytes:
    """BYTES data."""
    parts = [value.encode() if isinstance(value, str) else value for value in values]
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def features(rows: Any, binary: bool = False) -> Tensor:
    """The one input of an all-numeric model."""
    matrix = np.asarray(rows, dtype=np.float64)
    return Tensor("features", list(matrix.shape), "FP32", floats(matrix) if binary else matrix.ravel().tolist())


def inputs(toy: Toy, encoded: Any, binary: Sequence[bool] = (False,)) -> list[Tensor]:
    """A toy's encoded rows as its inputs; `binary` is repeated over them."""
    if toy is not MIXED:
        return [features(encoded, binary[0])]
    colours, sites = ("red", "green", "blue"), ("north", "south")
    columns: list[tuple[str, Any]] = [
        ("age", encoded[:, 0].tolist()),
        ("colour", [colours[index] for index in encoded[:, 1:4].argmax(axis=1)]),
        ("dose", encoded[:, 4].tolist()),
        ("site", [sites[index] for index in encoded[:, 5:].argmax(axis=1)]),
    ]
    found = []
    for place, (name, values) in enumerate(columns):
        kind = "BYTES" if isinstance(values[0], str) else "FP32"
        data = values
        if binary[place % len(binary)]:
            data = texts(*values) if kind == "BYTES" else floats(values)
        found.append(Tensor(name, [len(encoded), 1], kind, data))
    return found


def message(tensors: Sequence[Tensor], indent: int = 0, **members: Any) -> tuple[bytes, dict[str, str]]:
    """A request's body and headers; `indent` lengthens the JSON by so many bytes, and so moves what follows."""
    document = {**members, "inputs": [tensor.describe() for tensor in tensors]}
    header = json.dumps(document).encode() + b" " * indent
    raw = b"".join(tensor.data for tensor in tensors if isinstance(tensor.data, bytes))
    if not any(isinstance(tensor.data, bytes) for tensor in tensors):
        return header, {"Content-Type": "application/json"}
    return header + raw, {"Content-Type": OCTETS, LENGTH: str(len(header))}


async def post(client: httpx.AsyncClient, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return await client.post(f"/v2/models/{path}/infer", content=body, headers=headers)


async def infer(client: httpx.AsyncClient, path: str, tensors: Sequence[Tensor], **members: Any) -> "Inference":
    """Ask, and read a good answer."""
    return read(await post(client, path, *message(tensors, **members)))


@dataclass
class Inference:
    """A good answer."""

    document: dict[str, Any]
    outputs: dict[str, Any]  # arrays, or nested lists of texts
    binary: set[str]
    headers: httpx.Headers


def read(response: httpx.Response) -> Inference:
    """Read a good answer to the last byte."""
    assert response.status_code == 200, response.text
    declared = response.headers.get(LENGTH)
    content = response.content
    if declared is None:
        assert response.headers["content-type"] == "application/json"
        header, raw = content, b""
    else:
        assert response.headers["content-type"] == OCTETS
        header, raw = content[: int(declared)], content[int(declared) :]
    document = json.loads(header, parse_constant=_no_constant)
    InferenceAnswer.model_validate(document)
    outputs: dict[str, Any] = {}
    binary: set[str] = set()
    for output in document["outputs"]:
        name, shape, size = output["name"], output["shape"], int(np.prod(output["shape"]))
        assert name not in outputs
        if "parameters" in output:
            assert output["parameters"].keys() == {"binary_data_size"}
            assert "data" not in output
            taken = output["parameters"]["binary_data_size"]
            values, raw = raw[:taken], raw[taken:]
            assert len(values) == taken
            data = _texts(values) if output["datatype"] == "BYTES" else np.frombuffer(values, "<f4")
            binary.add(name)
        else:
            data = output["data"]
        assert len(data) == size
        kind = {"FP32": np.float32, "BYTES": np.str_}[output["datatype"]]
        outputs[name] = np.array(data, dtype=kind).reshape(shape)
    assert raw == b""
    assert (declared is not None) == bool(binary)
    return Inference(document, outputs, binary, response.headers)


def assert_error(response: httpx.Response, status: int, *fragments: str) -> str:
    """The protocol's one shape of a failure."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert LENGTH not in response.headers
    content = response.json()
    assert content.keys() == {"error"}
    error = content["error"]
    assert isinstance(error, str)
    assert error
    for fragment in fragments:
        assert fragment in error
    for leak in ("Traceback", "Error(", ".py", "object at", "s3cret", "service."):
        assert leak not in response.text
    return error


def _texts(raw: bytes) -> list[str]:
    found = []
    while raw:
        (length,) = struct.unpack("<I", raw[:4])
        assert len(raw) >= 4 + length
        found.append(raw[4 : 4 + length].decode())
        raw = raw[4 + length :]
    return found


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")
