"""Defines how the measurement noise of a model's features is distributed, beyond each feature's own size of it."""

import math
from itertools import chain
from typing import Literal, Self

from pydantic import Field, model_validator

from chainzrule.service.artifact.part import CardPart, Label

NoiseSource = Literal["measured", "declared", "default"]
Law = Literal["normal", "t", "uniform"]

LARGEST_GROUP = 512  # features whose noise may move together, whose correlations are a matrix of that size
SLACK = 1e-6  # what rounding may do to a correlation


class NoiseGroup(CardPart):
    """Features whose measurement errors move together."""

    features: tuple[Label, ...] = Field(min_length=2, max_length=LARGEST_GROUP)
    correlation: tuple[tuple[float, ...], ...] = Field(description="of their noise, in the order of the features")

    @model_validator(mode="after")
    def _is_a_correlation(self) -> Self:
        size = len(self.features)
        if len(set(self.features)) != size:
            raise ValueError("features repeat")
        if len(self.correlation) != size or any(len(row) != size for row in self.correlation):
            raise ValueError(f"correlation must have {size} rows and columns, one for each feature")
        for at, row in enumerate(self.correlation):
            if abs(row[at] - 1.0) > SLACK:
                raise ValueError("correlation must be 1 on the diagonal")
            if any(abs(value - self.correlation[to][at]) > SLACK for to, value in enumerate(row)):
                raise ValueError("correlation must be symmetric")
        if not _is_positive(self.correlation):
            raise ValueError("correlation is not one that any noise can have: it has a negative eigenvalue")
        return self


class NoiseModel(CardPart):
    """The law of the features' measurement noise; a card without one means independent normal noise."""

    law: Law = Field(
        default="normal", description="of one feature's noise; its size is the feature's standard deviation"
    )
    degrees_of_freedom: float | None = Field(default=None, gt=2, le=1000, description="of the law t")
    groups: tuple[NoiseGroup, ...] = Field(default=(), description="features whose noise is correlated")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.degrees_of_freedom is None) == (self.law == "t"):
            raise ValueError("degrees_of_freedom belong to the law t")
        names = list(chain.from_iterable(group.features for group in self.groups))
        if len(set(names)) != len(names):
            raise ValueError("a feature is in two groups")
        return self


def _is_positive(correlation: tuple[tuple[float, ...], ...]) -> bool:
    """Returns whether a symmetric matrix has no eigenvalue below 0 but for rounding, by Cholesky's factorisation.

    This package has no numpy. A factor that stops at a pivot of 0 must find only zeros in the rest of its column.
    """
    size = len(correlation)
    factor: list[list[float]] = []
    for row in range(size):
        done: list[float] = []
        for column in range(row):
            left = correlation[row][column] - sum(map(float.__mul__, done, factor[column][:column]))
            pivot = factor[column][column]
            if pivot == 0.0 and abs(left) > 1e-3:
                return False
            done.append(left / pivot if pivot else 0.0)
        rest = correlation[row][row] - sum(value * value for value in done)
        if rest < -1e-4:
            return False
        done.append(math.sqrt(rest) if rest > SLACK else 0.0)
        factor.append(done)
    return True
