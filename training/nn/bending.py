"""Reads raw features on the scales of `training.data.bends` in torch, with the first two derivatives of doing so."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from chainzrule.training.data.bends import Bends


class Bent(NamedTuple):
    """Holds (batch, D) features on the scales that they are read on, and how these rise and curve there."""

    values: Tensor
    slopes: Tensor
    curvatures: Tensor


@dataclass(frozen=True)
class Bending:
    """Holds `Bends` as tensors of one number type; straight columns have a steepness of 0."""

    keep: Tensor
    start: Tensor
    steepness: Tensor

    @classmethod
    def of(cls, bends: Bends, dtype: torch.dtype) -> "Bending":
        """Returns the scales in a number type."""
        return cls(*(torch.from_numpy(part).to(dtype) for part in (bends.keep, bends.start, bends.steepness)))

    def __call__(self, x: Tensor) -> Bent:
        """Returns raw features on their scales."""
        placed = (x - self.start) * self.steepness
        root = (placed * placed + 1.0).sqrt()
        rise = self.steepness / root
        return Bent(self.keep * x + torch.asinh(placed), self.keep + rise, -(rise * rise) * (placed / root))
