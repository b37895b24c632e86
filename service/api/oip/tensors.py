"""Checks and reads the tensors of the protocol's requests, and writes those of its answers."""

import math
from typing import Any

import orjson

from chainzrule.service.api.bodies.steps import Steps
from chainzrule.service.api.oip.datatypes import DATATYPES, Datatype, Shape
from chainzrule.service.errors import InvalidInput, TooLarge
from chainzrule.service.serving.tensors import TensorSpec, Values, shape_of

STEP_VALUES = 2**12  # which are written in a fraction of a millisecond


def check_datatype(spec: TensorSpec, name: Any) -> Datatype:
    """Returns the datatype of a request's tensor.

    Raises:
        InvalidInput: the datatype is unknown, or its values are of another kind than the model's tensor.
    """
    own = DATATYPES[spec.datatype]
    if name == own.name:
        return own
    taken = {known: datatype for known, datatype in DATATYPES.items() if datatype.holds == own.holds}
    if type(name) is not str or name not in taken:
        raise InvalidInput(f"must have the datatype {' or '.join(taken)}", f"inputs.{spec.name}")
    return taken[name]


def check_shape(spec: TensorSpec, shape: Any, max_rows: int) -> Shape:
    """Returns the shape of a request's tensor, which is checked before its data are read.

    Raises:
        InvalidInput: the value is no shape, or does not fit the model's tensor.
        TooLarge: the shape has more than `max_rows` rows.
    """
    place = f"inputs.{spec.name}"
    if type(shape) is not list or any(type(size) is not int or size < 0 for size in shape):
        raise InvalidInput("must have a shape of whole numbers", place)
    fits = len(shape) == len(spec.shape) and all(
        wanted in (-1, size) for size, wanted in zip(shape, spec.shape, strict=True)
    )
    if not fits:
        raise InvalidInput(f"must have the shape {list(spec.shape)}", place)
    if shape[0] > max_rows:
        raise TooLarge(f"must be at most {max_rows} rows; send several requests", place)
    return tuple(shape)


def flattened(data: Any, shape: Shape, place: str) -> list[Any]:
    """Returns JSON data as a flat list, row by row.

    Raises:
        InvalidInput: the data are neither flat nor nested as the shape says.
    """
    size = math.prod(shape)
    if type(data) is not list:
        raise InvalidInput("must have its data as a list", place)
    if len(data) == size and not (data and type(data[0]) is list):
        return data
    level: list[Any] = [data]
    for wanted in shape:
        for part in level:
            if type(part) is not list or len(part) != wanted:
                raise InvalidInput("must have as much data as its shape says", f"{place}.data")
        level = [item for part in level for item in part]
    return level


def written(spec: TensorSpec, values: Values, binary: bool, raw: list[bytes]) -> dict[str, Any]:
    """Returns a tensor as an answer's JSON gives it; with `binary`, its data are appended to `raw` instead."""
    datatype = DATATYPES[spec.datatype]
    if binary:
        raw.append(datatype.to_bytes(values))
        return _described(spec, values, parameters={"binary_data_size": len(raw[-1])})
    return _described(spec, values, data=datatype.to_json(values))


def written_in_steps(spec: TensorSpec, values: Values, binary: bool, raw: list[bytes]) -> Steps[dict[str, Any]]:
    """Returns what `written` does; its data are JSON already."""
    if binary:
        yield
        return written(spec, values, binary, raw)
    data, parts = DATATYPES[spec.datatype].to_json(values), []
    for start in range(0, len(data), STEP_VALUES):
        part = data[start : start + STEP_VALUES]
        parts.append(orjson.dumps(part, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1])
        yield
    return _described(spec, values, data=orjson.Fragment(b"[%s]" % b",".join(parts)))


def _described(spec: TensorSpec, values: Values, **content: Any) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(shape_of(spec, values)), **content}
