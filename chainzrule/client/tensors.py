"""Writes and reads requests of the open inference protocol: as JSON where they are small, else with raw tensors."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from chainzrule.client.questions import JSON, Question, Reply

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGE = 256  # values, from which raw tensors are smaller and quicker than JSON
LENGTH = "inference-header-content-length"
FEATURES = "features"  # the only input of a model of numbers


def inference(
    inputs: Any, model: str, version: str | None, outputs: Sequence[str] | None, parameters: Mapping[str, Any]
) -> "Question[dict[str, NDArray[Any]]]":
    """Returns a question whose answer is arrays by the outputs' names.

    Args:
        inputs: a matrix, or by name a column of numbers or texts for each input.
        model: the model's name.
        version: its version; None for the newest that is ready.
        outputs: the outputs; None for the model's usual ones.
        parameters: what else is asked, such as `noise_scale`.
    """
    import numpy as np

    named = inputs if isinstance(inputs, Mapping) else {FEATURES: inputs}
    arrays = {str(name): _columns(np.asarray(values)) for name, values in named.items()}
    binary = sum(array.size for array in arrays.values()) >= LARGE
    described, raw = [], []
    for name, array in arrays.items():
        texts = array.dtype.kind in "OUS"
        tensor: dict[str, Any] = {"name": name, "shape": array.shape, "datatype": "BYTES" if texts else "FP32"}
        if binary:
            raw.append(_texts(array) if texts else np.ascontiguousarray(array, "<f4").tobytes())
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = [str(text) for text in array.ravel()] if texts else array.astype(float).ravel().tolist()
        described.append(tensor)
    document: dict[str, Any] = {"inputs": described, "parameters": {**parameters, "binary_data_output": binary}}
    if outputs is not None:
        document["outputs"] = [{"name": name} for name in outputs]
    header = json.dumps(document, allow_nan=False).encode()
    headers = {"Content-Type": "application/octet-stream", LENGTH: str(len(header))} if binary else JSON
    chosen = "" if version is None else f"/versions/{quote(version, safe='')}"
    path = f"/v2/models/{quote(model, safe='')}{chosen}/infer"
    return Question("POST", path, _read, b"".join((header, *raw)), headers)


def _columns(array: "NDArray[Any]") -> "NDArray[Any]":
    return array.reshape(-1, 1) if array.ndim == 1 else array


def _texts(array: "NDArray[Any]") -> bytes:
    parts = [str(text).encode() for text in array.ravel()]
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)


def _read(reply: Reply) -> "dict[str, NDArray[Any]]":
    import numpy as np

    length = int(reply.headers.get(LENGTH, len(reply.body)))
    document, at = json.loads(reply.body[:length]), length
    found = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        texts = output["datatype"] == "BYTES"
        if size is None:
            array = np.array(output["data"], object if texts else np.float32)
        elif texts:
            array = np.array(_read_texts(reply.body[at : at + size]), object)
        else:
            array = np.frombuffer(reply.body, "<f4", size // 4, at)
        at += size or 0
        found[output["name"]] = array.reshape(output["shape"])
    return found


def _read_texts(content: bytes) -> list[str]:
    found, at = [], 0
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "little")
        found.append(content[at + 4 : end].decode())
        at = end
    return found
