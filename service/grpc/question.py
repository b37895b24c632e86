"""Reads the messages of `ModelInfer` into the request that the API reads from JSON, so that both are checked alike."""

from typing import Any

from chainzrule.service.api.oip.datatypes import DATATYPES
from chainzrule.service.errors import InvalidInput, MalformedRequest, TooLarge

MOST_FIELDS = 2**14  # of one message; a model has as many columns at most
RAW_INPUTS = 7  # the number of the field `raw_input_contents`
PARSED_BYTES = 40  # most bytes that a parsed message takes for each byte of its text, raw tensors left aside
_PART = 2**13  # values that are listed in a fraction of a millisecond
_BYTES_WIRE, _VARINT_WIRE, _FIXED64_WIRE, _FIXED32_WIRE = 2, 0, 1, 5


def parsed_bytes(text: bytes) -> int:
    """Returns the most bytes that a request's message holds once it is parsed, by a look at its outermost fields.

    Raises:
        MalformedRequest: the text is no message.
        TooLarge: it has more fields than any request.
    """
    at, end, raw = 0, len(text), 0
    for _ in range(MOST_FIELDS):
        if at >= end:
            break
        tag, at = _varint(text, at)
        wire = tag & 7
        if wire == _BYTES_WIRE:
            size, at = _varint(text, at)
            if tag >> 3 == RAW_INPUTS:
                raw += size
            at += size
        elif wire == _VARINT_WIRE:
            _, at = _varint(text, at)
        elif wire in (_FIXED64_WIRE, _FIXED32_WIRE):
            at += 8 if wire == _FIXED64_WIRE else 4
        else:
            raise _malformed()
    if at < end:
        raise TooLarge(f"must have at most {MOST_FIELDS} fields; send several requests", "message")
    if at > end:
        raise _malformed()
    return raw + (end - raw) * PARSED_BYTES


def document_of(message: Any) -> tuple[dict[str, Any], memoryview, bool]:
    """Returns a message as the JSON that says the same, its raw tensors, and whether it has such.

    Raises:
        InvalidInput: it has raw and typed tensors, or not as many raw ones as inputs.
    """
    raw = list(message.raw_input_contents)
    if raw and len(raw) != len(message.inputs):
        raise InvalidInput("must be as many as the inputs", "raw_input_contents")
    inputs = [_tensor(tensor, raw[at] if raw else None) for at, tensor in enumerate(message.inputs)]
    document: dict[str, Any] = {"parameters": _parameters(message.parameters), "inputs": inputs}
    if message.id:
        document["id"] = message.id
    if message.outputs:
        document["outputs"] = [
            {"name": output.name, "parameters": _parameters(output.parameters)} for output in message.outputs
        ]
    return document, memoryview(raw[0] if len(raw) == 1 else b"".join(raw)), bool(raw)


def _tensor(tensor: Any, raw: bytes | None) -> dict[str, Any]:
    place = f"inputs.{tensor.name}" if tensor.name.isprintable() and len(tensor.name) < 64 else "inputs"
    parameters = _parameters(tensor.parameters)
    parameters.pop("binary_data_size", None)
    found = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape), "parameters": parameters}
    if raw is not None:
        if tensor.HasField("contents"):
            raise InvalidInput("has both contents and raw_input_contents", place)
        return found | {"parameters": {**parameters, "binary_data_size": len(raw)}}
    datatype = DATATYPES.get(tensor.datatype)
    if datatype is None:
        return found
    if datatype.contents is None:
        raise InvalidInput(f"must be sent in raw_input_contents as {datatype.name}", place)
    values = getattr(tensor.contents, datatype.contents)
    if not values and tensor.contents.ListFields():
        raise InvalidInput(f"must have its data in {datatype.contents}, as {datatype.name}", place)
    data: list[Any] = []
    for at in range(0, len(values), _PART):  # each part holds the interpreter lock
        data += values[at : at + _PART]
    return found | {"data": [_text(value, place) for value in data] if datatype.holds == "texts" else data}


def _text(value: bytes, place: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidInput("must hold UTF-8 texts", place) from None


def _parameters(given: Any) -> dict[str, Any]:
    found = {}
    for name, value in given.items():
        kind = value.WhichOneof("parameter_choice")
        if kind is not None:
            found[name] = getattr(value, kind)
    return found


def _varint(text: bytes, at: int) -> tuple[int, int]:
    """Returns the number at a place, and the place behind it."""
    found = shift = 0
    while shift < 64:
        if at >= len(text):
            raise _malformed()
        byte = text[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
        shift += 7
    raise _malformed()


def _malformed() -> MalformedRequest:
    return MalformedRequest("the message cannot be read as the one that this method takes")
