"""Defines three smooth functions, for which the paper's claim about parameters favours polynomials most."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SmoothFunction:
    """Describes a function on the cube [-1, 1]^inputs.

    Attributes:
        inputs: how many variables it has.
        value: (rows, inputs) to (rows,).
    """

    inputs: int
    value: Callable[[Floats], Floats]


def friedman(x: Floats) -> Floats:
    """Returns Friedman's first function (1991), 10 sin(pi ab) + 20 (c - 1/2)^2 + 10 d + 5 e, plus 5 fgh."""
    a, b, c, d, e, f, g, h = ((1 + x) / 2).T
    value: Floats = 10 * np.sin(np.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e + 5 * f * g * h
    return value


def cubic(x: Floats) -> Floats:
    """Returns a polynomial of degree 3 with interactions, in six variables."""
    a, b, c, d, e, f = x.T
    value: Floats = a**3 - 2 * a * b * c + b**2 * d - 1.5 * c * e + d * e * f + 0.5 * f**3 + a - e**2
    return value


def waves(x: Floats) -> Floats:
    """Returns sin(3a) cos(3b), which is smooth but no polynomial."""
    return np.sin(3 * x[:, 0]) * np.cos(3 * x[:, 1])


FUNCTIONS: Mapping[str, SmoothFunction] = {
    "friedman": SmoothFunction(8, friedman),
    "cubic": SmoothFunction(6, cubic),
    "waves": SmoothFunction(2, waves),
}


def draw(name: str, rows: int, seed: int) -> tuple[Floats, Floats]:
    """Returns `rows` points drawn uniformly from the cube, and the function's values there, without noise."""
    function = FUNCTIONS[name]
    x = np.random.default_rng(seed).uniform(-1, 1, (rows, function.inputs))
    return x, function.value(x)
