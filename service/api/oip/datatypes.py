"""Defines the protocol's datatypes: how each is read from and written as JSON and raw bytes.

A datatype is one entry in `DATATYPES`; what tensors are accepted, and what is documented, follows from that table.
"""

import math
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import InvalidInput
from chainzrule.service.serving.tensors import Values

Shape = tuple[int, ...]
_NUMBERS = frozenset((int, float))
_PART = 2**13  # values, whose conversion takes a fraction of a millisecond
_EXACT = 2**53  # up to which float64 holds every whole number


class Datatype(ABC):
    """Reads and writes the values of a tensor.

    Attributes:
        name: its name in the protocol.
        holds: the kind of its values; a tensor is accepted in any datatype whose values are of the same kind.
        contents: the field of gRPC's typed contents that has its values; None where they are always raw.
    """

    name: str
    contents: str | None
    holds: Literal["numbers", "texts"]

    @abstractmethod
    def from_json(self, data: list[Any], shape: Shape, place: str) -> Values:
        """Reads values from a flat JSON list.

        Raises:
            InvalidInput: a value is of another kind.
        """

    @abstractmethod
    def from_bytes(self, raw: memoryview, shape: Shape, place: str) -> Values:
        """Reads values from their raw form.

        Raises:
            InvalidInput: the bytes are not as many values as the shape says.
        """

    def from_body(self, raw: memoryview, shape: Shape, place: str) -> Values:
        """Reads the values of a body that holds nothing else; raises the errors of `from_bytes`."""
        return self.from_bytes(raw, shape, place)

    @abstractmethod
    def to_json(self, values: Any) -> Any:
        """Returns the values in a flat form that orjson can write."""

    @abstractmethod
    def to_bytes(self, values: Any) -> bytes:
        """Returns the values in their raw form."""


class Floats(Datatype):
    """Reads and writes floating-point numbers, as float32 arrays: the models compute in no higher precision.

    Args:
        name: their name in the protocol.
        stored: numpy's name of their raw form, which is little-endian.
        contents: the field of gRPC's typed contents; None where neither these nor JSON can hold them.
    """

    holds = "numbers"

    def __init__(self, name: str, stored: str, contents: str | None) -> None:
        self.name = name
        self.contents = contents
        self._stored = np.dtype(stored)
        self._is_float32 = self._stored == np.float32

    def from_json(self, data: list[Any], shape: Shape, place: str) -> NDArray[np.float32]:
        """Reads numbers; those beyond float32 become infinite."""
        if self.contents is None:
            raise InvalidInput(f"must be sent as raw bytes, as {self.name}", place)
        values = np.empty(len(data), dtype=np.float32)
        for at in range(0, len(data), _PART):  # each part holds the interpreter lock
            part = data[at : at + _PART]
            if not _NUMBERS.issuperset(map(type, part)):
                raise InvalidInput("must hold numbers only", f"{place}.data")
            with np.errstate(over="ignore"):
                values[at : at + _PART] = part
        return values.reshape(shape)

    def from_bytes(self, raw: memoryview, shape: Shape, place: str) -> NDArray[np.float32]:
        """Reads numbers, as a read-only view of the bytes where these are aligned float32, else as a copy."""
        if len(raw) != self._stored.itemsize * math.prod(shape):
            raise InvalidInput("must have as many bytes as its shape needs", place)
        values = np.frombuffer(raw, dtype=self._stored).reshape(shape)
        if self._is_float32:
            # A tensor may begin at any byte of the body, but kernels may rely on aligned floats.
            return values if values.flags.aligned else values.copy()
        with np.errstate(over="ignore"):
            return values.astype(np.float32)

    def to_json(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the numbers as a flat array, which orjson writes."""
        return values.ravel()

    def to_bytes(self, values: NDArray[np.float32]) -> bytes:
        """Returns the numbers' raw form."""
        return values.astype(self._stored, copy=False).tobytes()


class ShortFloats(Floats):
    """Reads BF16: the upper half of a float32, which numpy has no type for."""

    def __init__(self) -> None:
        super().__init__("BF16", "<u2", None)

    def from_bytes(self, raw: memoryview, shape: Shape, place: str) -> NDArray[np.float32]:
        """Reads numbers, as a copy."""
        if len(raw) != 2 * math.prod(shape):
            raise InvalidInput("must have as many bytes as its shape needs", place)
        halves = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << np.uint32(16)
        return halves.view(np.float32).reshape(shape)

    def to_bytes(self, values: NDArray[np.float32]) -> bytes:
        """Returns the numbers' raw form, which leaves their lower half out."""
        return (np.ascontiguousarray(values).view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes()


class Integers(Floats):
    """Reads whole numbers, as float32 arrays; those that float32 cannot hold exactly are refused."""

    def from_json(self, data: list[Any], shape: Shape, place: str) -> NDArray[np.float32]:
        """Reads whole numbers of this datatype's range; 2.0 is 2, which some languages write so."""
        limits = np.iinfo(self._stored)
        for at in range(0, len(data), _PART):
            part = data[at : at + _PART]
            if not _NUMBERS.issuperset(map(type, part)) or not all(
                limits.min <= value <= limits.max and value == int(value) for value in part
            ):
                raise InvalidInput(f"must hold whole numbers only, as {self.name}", f"{place}.data")
        return self._exact(np.array(data, dtype=self._stored), place).reshape(shape)

    def from_bytes(self, raw: memoryview, shape: Shape, place: str) -> NDArray[np.float32]:
        """Reads whole numbers, as a copy."""
        if len(raw) != self._stored.itemsize * math.prod(shape):
            raise InvalidInput("must have as many bytes as its shape needs", place)
        return self._exact(np.frombuffer(raw, dtype=self._stored), place).reshape(shape)

    def _exact(self, values: NDArray[Any], place: str) -> NDArray[np.float32]:
        found, wide = values.astype(np.float32), values.astype(np.float64)
        if ((found != wide) | (np.abs(wide) > _EXACT)).any():
            raise InvalidInput("has whole numbers that float32 cannot hold exactly; send FP64 to round them", place)
        return found


class Booleans(Floats):
    """Reads true and false, as the numbers 1 and 0."""

    def from_json(self, data: list[Any], shape: Shape, place: str) -> NDArray[np.float32]:
        """Reads true and false, which may also be written as 1 and 0."""
        if any(type(value) not in (bool, int, float) or value not in (0, 1) for value in data):
            raise InvalidInput("must hold true and false only", f"{place}.data")
        return np.array(data, dtype=np.float32).reshape(shape)

    def from_bytes(self, raw: memoryview, shape: Shape, place: str) -> NDArray[np.float32]:
        """Reads a byte for each value, 1 or 0."""
        values = super().from_bytes(raw, shape, place)
        if ((values != 0) & (values != 1)).any():
            raise InvalidInput("must hold the bytes 0 and 1 only", place)
        return values


class Texts(Datatype):
    """Reads and writes texts, as lists; a raw text is a 4-byte little-endian length and that many UTF-8 bytes."""

    name = "BYTES"
    holds = "texts"
    contents = "bytes_contents"

    def from_json(self, data: list[Any], shape: Shape, place: str) -> list[str]:
        """Reads texts from a JSON list."""
        if any(type(value) is not str for value in data):
            raise InvalidInput("must hold texts only", f"{place}.data")
        return data

    def from_bytes(self, raw: memoryview, shape: Shape, place: str) -> list[str]:
        """Reads texts, each after its length."""
        texts = []
        at = 0
        for _ in range(math.prod(shape)):
            length = int.from_bytes(raw[at : at + 4], "little")
            end = at + 4 + length
            if at + 4 > len(raw) or end > len(raw):
                raise InvalidInput("has an element that is cut short", place)
            texts.append(_decoded(raw[at + 4 : end], place))
            at = end
        if at != len(raw):
            raise InvalidInput("has bytes behind its last element", place)
        return texts

    def from_body(self, raw: memoryview, shape: Shape, place: str) -> list[str]:
        """Reads the whole body as one text without a length."""
        return [_decoded(raw, place)]

    def to_json(self, values: list[str]) -> list[str]:
        """Returns the texts as they are."""
        return values

    def to_bytes(self, values: list[str]) -> bytes:
        """Returns the texts' raw form."""
        return b"".join(map(_encoded, values))


FP32 = Floats("FP32", "<f4", "fp32_contents")
BYTES = Texts()
_ALL: tuple[Datatype, ...] = (
    FP32,
    Floats("FP64", "<f8", "fp64_contents"),
    Floats("FP16", "<f2", None),
    ShortFloats(),
    Integers("INT64", "<i8", "int64_contents"),
    Integers("INT32", "<i4", "int_contents"),
    Integers("INT16", "<i2", "int_contents"),
    Integers("INT8", "<i1", "int_contents"),
    Integers("UINT64", "<u8", "uint64_contents"),
    Integers("UINT32", "<u4", "uint_contents"),
    Integers("UINT16", "<u2", "uint_contents"),
    Integers("UINT8", "<u1", "uint_contents"),
    Booleans("BOOL", "<u1", "bool_contents"),
    BYTES,
)
DATATYPES: dict[str, Datatype] = {datatype.name: datatype for datatype in _ALL}


def _decoded(raw: memoryview, place: str) -> str:
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("must hold UTF-8 texts", place) from None


@lru_cache(maxsize=4096)  # outputs hold labels and verdicts, which are few and repeat
def _encoded(text: str) -> bytes:
    content = text.encode()
    return len(content).to_bytes(4, "little") + content
