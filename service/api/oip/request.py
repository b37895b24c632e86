"""Reads inference requests: JSON, or JSON followed by raw tensors (the binary tensor extension)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from chainzrule.service.api.bodies.body import INLINE, parse_large, parse_small, read_body
from chainzrule.service.api.incoming import Incoming
from chainzrule.service.api.members import read_confidence, read_flag, read_noise_scale
from chainzrule.service.api.oip.datatypes import DATATYPES
from chainzrule.service.api.oip.question import InferRequest, WantedOutput
from chainzrule.service.api.oip.tensors import check_datatype, check_shape, flattened
from chainzrule.service.errors import InvalidInput
from chainzrule.service.naming import hint
from chainzrule.service.serving.tensors import TensorSpec, Values
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE

JSON_LENGTH = b"inference-header-content-length"
# Parameters of Triton that change what is asked or where the answer goes.
SHARED = dict.fromkeys(
    ("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"),
    "data are sent with the request; there is no shared memory",
)
FOREIGN = dict.fromkeys(("sequence_id", "sequence_start", "sequence_end"), "every request stands alone")


async def read_infer_request(
    request: Incoming, inputs: Sequence[TensorSpec], max_bytes: int, max_rows: int, deadline: float
) -> InferRequest:
    """Reads and checks an inference request for a model with these inputs; `deadline` is by the event loop's clock.

    Raises:
        UnsupportedMedia: the body's encoding is neither gzip nor deflate.
        TooLarge: the request has more bytes or rows than the limits allow.
        InvalidInput: the request does not fit this model; the error names the tensor or the member.
    """
    declared = request.header(JSON_LENGTH)
    body = memoryview(await read_body(request, max_bytes, deadline))
    length = len(body) if declared is None else _json_length(declared, len(body))
    if declared is not None and length == 0:
        return _read_raw(body, inputs)
    text, raw = bytes(body[:length]), body[length:]
    if length > INLINE:
        document = await parse_large(request, text, deadline)
    else:
        document = parse_small(request, text, "inputs")
        if len(raw) <= INLINE or all(DATATYPES[spec.datatype].holds == "numbers" for spec in inputs):
            return read_document(document, raw, inputs, max_rows)  # raw numbers are used as they are
    return await asyncio.to_thread(read_document, document, raw, inputs, max_rows)


def _json_length(declared: str, size: int) -> int:
    digits = declared.lstrip("0")
    if not declared.isascii() or not declared.isdecimal() or len(digits) > len(str(size)) or int(digits or 0) > size:
        raise InvalidInput("must be a whole number of bytes, at most the body's", "Inference-Header-Content-Length")
    return int(digits or 0)


def _read_raw(body: memoryview, inputs: Sequence[TensorSpec]) -> InferRequest:
    """Reads a body that is the raw bytes of the only input, for one row; the outputs will be raw too."""
    if len(inputs) != 1:
        raise InvalidInput("may be 0 only for a model with one input", "Inference-Header-Content-Length")
    spec = inputs[0]
    values = DATATYPES[spec.datatype].from_body(body, (1, *spec.shape[1:]), f"inputs.{spec.name}")
    return InferRequest(values={spec.name: values}, binary=True)


def read_document(
    document: dict[str, Any], raw: memoryview, inputs: Sequence[TensorSpec], max_rows: int
) -> InferRequest:
    """Returns the request in a document whose binary tensors are in `raw`; raises as `read_infer_request` does."""
    parameters = _parameters(document, "parameters")
    _require_plain(parameters, FOREIGN, "parameters")
    identity = document.get("id")
    if identity is not None and type(identity) is not str:
        raise InvalidInput("must be text", "id")
    binary = _flag(parameters, "binary_data_output", False)
    return InferRequest(
        values=_values(document.get("inputs"), raw, {spec.name: spec for spec in inputs}, max_rows),
        outputs=_outputs(document.get("outputs"), binary),
        id=identity,
        binary=binary,
        noise_scale=read_noise_scale(parameters.get("noise_scale", 1.0), "parameters.noise_scale"),
        confidence=read_confidence(parameters.get("confidence", DEFAULT_CONFIDENCE), "parameters.confidence"),
        observe=_flag(parameters, "observe", True),
        timeout=_timeout(parameters.get("timeout", 0)),
    )


def _values(listed: Any, raw: memoryview, specs: dict[str, TensorSpec], max_rows: int) -> dict[str, Values]:
    if type(listed) is not list or not listed:
        raise InvalidInput("must be a list of tensors", "inputs")
    values: dict[str, Values] = {}
    at = 0
    for item in listed:
        if type(item) is not dict or type(item.get("name")) is not str:
            raise InvalidInput("must hold tensors with names", "inputs")
        spec = specs.get(item["name"])
        if spec is None:
            suggestion = hint(item["name"], specs)
            raise InvalidInput(
                f"has a tensor the model does not take{suggestion}; it takes {', '.join(specs)}", "inputs"
            )
        if spec.name in values:
            raise InvalidInput("is given twice", f"inputs.{spec.name}")
        values[spec.name], taken = _tensor(item, raw[at:], spec, max_rows)
        at += taken
    missing = next((name for name in specs if name not in values), None)
    if missing is not None:
        raise InvalidInput("is missing", f"inputs.{missing}")
    if at != len(raw):
        raise InvalidInput("has bytes that no tensor claims", "body")
    return values


def _tensor(item: dict[str, Any], raw: memoryview, spec: TensorSpec, max_rows: int) -> tuple[Values, int]:
    """Returns one tensor's values, and how many raw bytes it used."""
    place = f"inputs.{spec.name}"
    datatype = check_datatype(spec, item.get("datatype"))
    shape = check_shape(spec, item.get("shape"), max_rows)
    parameters = _parameters(item, place)
    _require_plain(parameters, SHARED, place)
    size = parameters.get("binary_data_size")
    if size is None:
        return datatype.from_json(flattened(item.get("data"), shape, place), shape, place), 0
    if type(size) is not int or not 0 <= size <= len(raw):
        raise InvalidInput("must be a number of bytes that the body has", f"{place}.binary_data_size")
    if "data" in item:
        raise InvalidInput("has both data and binary_data_size", place)
    return datatype.from_bytes(raw[:size], shape, place), size


def _outputs(listed: Any, binary: bool) -> tuple[WantedOutput, ...] | None:
    if listed is None:
        return None
    if type(listed) is not list or any(type(item) is not dict or type(item.get("name")) is not str for item in listed):
        raise InvalidInput("must be a list of tensors with names", "outputs")
    outputs = tuple(_output(item["name"], _parameters(item, "outputs"), binary) for item in listed)
    if len({output.name for output in outputs}) != len(outputs):
        raise InvalidInput("asks for an output twice", "outputs")
    return outputs or None


def _output(name: str, parameters: dict[str, Any], binary: bool) -> WantedOutput:
    _require_plain(parameters, SHARED, "outputs")
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise InvalidInput("must be a whole number of classes", "outputs.parameters.classification")
    return WantedOutput(name, _flag(parameters, "binary_data", binary), classes)


def _timeout(value: Any) -> float | None:
    """Returns the seconds in a number of microseconds; 0 stands for no timeout."""
    if type(value) is not int or value < 0:
        raise InvalidInput("must be a whole number of microseconds", "parameters.timeout")
    return value / 1e6 or None


def _require_plain(parameters: dict[str, Any], foreign: Mapping[str, str], place: str) -> None:
    """Refuses parameters of other servers that would make the answer another, so that nobody takes ours for it."""
    for name, advice in foreign.items():
        if parameters.get(name):
            raise InvalidInput(f"are not taken here: {advice}", f"{place}.{name}")


def _parameters(item: dict[str, Any], place: str) -> dict[str, Any]:
    parameters = item.get("parameters")
    if parameters is None:
        return {}
    if type(parameters) is not dict or any(type(value) not in (str, int, float, bool) for value in parameters.values()):
        raise InvalidInput("must have parameters that are texts, numbers, true or false", place)
    return parameters


def _flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    return read_flag(parameters.get(name, default), f"parameters.{name}")
