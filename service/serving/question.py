"""A question to a model, without HTTP: every door fills one in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_NOISE_SCALE = 100.0
INCLUDES = ("jacobian", "layers")
METHODS = ("analytic", "monte_carlo")
DEFAULT_DRAWS = 1000
MAX_SEED = 2**32 - 1
MAX_RADIUS = 1000.0


class Question(NamedTuple):
    """Rows for a model.

    Attributes:
        instances: rows as sent, not yet encoded; a matrix where all are lists of numbers.
        model: the model's name; None for the default.
        version: its version; None for the newest that is ready.
        noise_scale: multiple of the card's noise at which to measure.
        observe: whether the rows enter metrics and window.
        measure: whether stability is asked for even where it takes further runs.
        top: how many sensitivities to list; None for all.
        include: what else to answer, of `INCLUDES`.
        draws: of the noise for every row, by Monte-Carlo; 0 for the closed form alone.
        seed: of the draws.
        radius: half the width, in noise sigmas, of the box to certify; None for no such box.
        box: by feature, how far the box to certify reaches to both sides, or its ends; None for no such box.
    """

    instances: list[Any] | NDArray[np.float64]
    model: str | None = None
    version: str | None = None
    noise_scale: float = 1.0
    observe: bool = True
    measure: bool = False
    top: int | None = None
    include: frozenset[str] = frozenset()
    draws: int = 0
    seed: int = 0
    radius: float | None = None
    box: Mapping[str, float | list[float]] | None = None


@dataclass(frozen=True)
class Allowance:
    """What one question may take.

    Attributes:
        draws: further rows that it may have run: noise draws, differences.
        measured_share: the share of predictions that are measured unasked where that takes further rows.
        certificates: rows that it may have certified.
        batch_rows: rows that are run at a time where it takes many runs.
    """

    draws: int
    measured_share: float
    certificates: int
    batch_rows: int
