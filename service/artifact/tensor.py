"""Defines arrays as a card holds them. This package does not import numpy, so they are read and written as bytes."""

import base64
import binascii
import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from chainzrule.service.artifact.part import CardPart


class Tensor(CardPart):
    """A float32 array: row-major, little-endian, base64."""

    shape: tuple[Annotated[int, Field(ge=0)], ...]
    data: str

    @model_validator(mode="after")
    def _sized(self) -> Self:
        if len(self.raw) != 4 * math.prod(self.shape):
            raise ValueError("data does not fill the shape")
        return self

    @property
    def raw(self) -> bytes:
        """Returns the bytes of the array."""
        try:
            return base64.b64decode(self.data, validate=True)
        except binascii.Error:
            raise ValueError("data is not base64") from None

    @classmethod
    def from_bytes(cls, shape: tuple[int, ...], raw: bytes) -> "Tensor":
        """Returns a tensor of little-endian float32 bytes."""
        return cls(shape=shape, data=base64.b64encode(raw).decode())
