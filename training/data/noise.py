"""Gives numeric columns their default measurement noise, and checks that float32 can represent it."""

from collections.abc import Iterable

import numpy as np

from chainzrule.service.artifact.features import Feature, NumericFeature
from chainzrule.training.data.errors import DataError

NOISE_SHARE = 0.1  # the default noise, as a share of the standard deviation
SPACING_SHARE = 0.1  # the coarsest float32 spacing at which noise still looks smooth, as a share of one sigma


def default_noise(std: float, distinct: int) -> float:
    """Returns the noise of a column for which none is declared.

    A column of two values (0 and 1, say) is not a measurement and gets none.
    """
    return NOISE_SHARE * std if distinct > 2 else 0.0


def check_float32_spacing(features: Iterable[Feature]) -> None:
    """Refuses numeric features whose neighbouring float32 values lie further apart than a tenth of their noise.

    Unix times are the usual case: near 1.7e9 float32 moves in steps of 128 seconds. A feature without noise is held to
    the default noise. Call it again whenever another noise has been declared.

    Raises:
        DataError: names every such feature.
    """
    problems = []
    for feature in features:
        if isinstance(feature, NumericFeature):
            noise = feature.noise or NOISE_SHARE * feature.std
            problem = spacing_problem(max(abs(feature.low), abs(feature.high)), noise)
            if problem:
                problems.append(f"column '{feature.name}' {problem}")
    if problems:
        raise DataError("\n".join(problems))


def spacing_problem(magnitude: float, noise: float) -> str | None:
    """Returns what is wrong with values up to `magnitude` with `noise` in the same unit, or None if nothing is."""
    spacing = float(np.spacing(np.float32(magnitude)))
    if spacing <= SPACING_SHARE * noise:
        return None
    return (
        f"reaches {magnitude:.6g}, where float32 moves in steps of {spacing:.3g}: too coarse for a noise of "
        f"{noise:.3g}; subtract an offset from the column, change its unit, or declare a larger noise"
    )
