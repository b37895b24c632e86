"""Tensors of the open inference protocol: JSON data or raw little-endian bytes, to numpy arrays and back."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import InvalidInput, TooLarge
from chainzrule.service.serving.tensors import TensorSpec

_NUMBERS = frozenset((int, float))


def check_shape(spec: TensorSpec, datatype: Any, shape: Any, max_rows: int) -> tuple[int, ...]:
    """A request tensor's shape, once it and its datatype fit the model's, and before its data are looked at."""
    place = f"inputs.{spec.name}"
    if datatype != spec.datatype:
        raise InvalidInput(f"must have the datatype {spec.datatype}", place)
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


def floats_from_json(data: Any, shape: tuple[int, ...], place: str) -> NDArray[np.float32]:
    """FP32 data, flat or nested as the shape says, row by row."""
    flat = _flat(data, shape, place)
    if not _NUMBERS.issuperset(map(type, flat)):
        raise InvalidInput("must hold numbers only", f"{place}.data")
    with np.errstate(over="ignore"):
        return np.array(flat, dtype=np.float32).reshape(shape)


def texts_from_json(data: Any, shape: tuple[int, ...], place: str) -> list[str]:
    """BYTES data as texts."""
    flat = _flat(data, shape, place)
    if any(type(value) is not str for value in flat):
        raise InvalidInput("must hold texts only", f"{place}.data")
    return flat


def floats_from_bytes(raw: memoryview, shape: tuple[int, ...], place: str) -> NDArray[np.float32]:
    """FP32 data as little-endian bytes: a read-only view of them where they are aligned, else a copy."""
    if len(raw) != 4 * math.prod(shape):
        raise InvalidInput("must have as many bytes as its shape needs", place)
    values = np.frombuffer(raw, dtype="<f4").reshape(shape)
    # A tensor may begin at any byte of the body, and kernels may load whole vectors of aligned floats.
    return values if values.flags.aligned else values.copy()


def texts_from_bytes(raw: memoryview, shape: tuple[int, ...], place: str) -> list[str]:
    """BYTES data: every element a 4-byte little-endian length and so many bytes of UTF-8."""
    texts = []
    at = 0
    for _ in range(math.prod(shape)):
        length = int.from_bytes(raw[at : at + 4], "little")
        end = at + 4 + length
        if at + 4 > len(raw) or end > len(raw):
            raise InvalidInput("has an element that is cut short", place)
        texts.append(text_from_bytes(raw[at + 4 : end], place))
        at = end
    if at != len(raw):
        raise InvalidInput("has bytes behind its last element", place)
    return texts


def text_from_bytes(raw: memoryview, place: str) -> str:
    """One text."""
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("must hold UTF-8 texts", place) from None


def to_bytes(values: NDArray[np.float32] | list[str]) -> bytes:
    """A tensor's raw form."""
    if isinstance(values, list):
        return b"".join(map(_element, values))
    return values.astype("<f4", copy=False).tobytes()


@lru_cache(maxsize=4096)  # outputs hold labels and verdicts: few, and again and again
def _element(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(4, "little") + encoded


def _flat(data: Any, shape: tuple[int, ...], place: str) -> list[Any]:
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
