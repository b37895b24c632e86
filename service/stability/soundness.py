"""Says where the closed form of the measures holds: where it does not, rows are drawn, or left `not_measurable`.

The closed form takes the scores' noise for normal, with a mean to second order and a covariance to first order. Three
things tell that this is wrong for a row: how far its lead bends under the noise, how true the card found the measures
at such a noise scale, and a law of the noise that the closed form does not know.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Calibration, NoiseCalibration
from chainzrule.service.stability.noise import Noise

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Unsound = Mapping[str, Mask]

# Why the measures of a row do not hold in closed form: its lead bends too much, the card found the measures untrue at
# such a noise scale, or the noise is bounded there, or of another law than the normal.
UNSOUND = ("curvature", "calibration", "noise_law")

# Where the second-order shift of a lead exceeds this share of its standard deviation, the volatility in closed form is
# mostly off by more than 15%; below it, hardly ever (docs/noise.md).
CURVED = 0.1
# A lead that is so far away that even the bent noise does not reach it keeps its label for certain, and a volatility of
# next to nothing, which may then be off by more; from this share on it is off by too much.
STRONGLY_CURVED = 0.3
FAR = 4.5  # standard deviations, which noise exceeds three times in a million

# The card's draws are few, so that its 5th and 95th percentile of volatility over the draws' spread lie near 0.92 and
# 1.1 even where the measures are right.
LEAST_SKILL = 0.95
VOLATILITY = ((0.75, 0.0), (0.95, 1.05), (0.0, 1.35))  # the least and largest 5th, 50th and 95th percentile; 0 for none
FEWEST_ROWS = 20  # rows that move enough to compare; fewer tell nothing


class Soundness:
    """Knows where the closed form of one model version's measures holds.

    Attributes:
        scale: the largest noise scale at which the card found the measures true; infinite where it does not say.
    """

    def __init__(self, noise: Noise, calibration: Calibration | None, counted: bool = False) -> None:
        """Takes what the card says.

        Args:
            noise: the noise that the measures are about.
            calibration: how true the measures were; None where the card does not say.
            counted: whether all measures are counted from draws, which hold wherever they are.
        """
        self._noise = noise
        self._counted = counted
        self._normal = noise.is_normal
        self._bounded = noise.least is not None
        self.scale = np.inf if calibration is None or counted else trusted_scale(calibration)

    def unsound(
        self, features: NDArray[np.floating], noise_scale: Floats, curvature: Floats, distance: Floats
    ) -> Unsound:
        """Returns why some rows, (rows, D), have no measures in closed form: by cause, which rows, (rows,).

        Args:
            features: the encoded rows.
            noise_scale: (rows,) multiples of the noise.
            curvature: (rows,) the second-order shift of each row's lead, in its standard deviations.
            distance: (rows,) that lead, in the same.
        """
        found: dict[str, Mask] = {}
        if self._counted:
            return found
        if (curved := curvature > CURVED).any():
            curved[curved] = (curvature[curved] > STRONGLY_CURVED) | (bent(distance[curved], curvature[curved]) < FAR)
            if curved.any():
                found["curvature"] = curved
        if (beyond := noise_scale > self.scale).any():
            found["calibration"] = beyond
        if not self._normal:
            found["noise_law"] = np.ones(len(features), np.bool_)
        elif self._bounded and (near := self._noise.reaches_bound(features, noise_scale)).any():
            found["noise_law"] = near
        return found

    def unsound_row(
        self, features: NDArray[np.floating], noise_scale: float, curvature: float, distance: float
    ) -> tuple[str, ...]:
        """Returns the same for one row, (1, D), whose other values are plain numbers."""
        if curvature <= CURVED and noise_scale <= self.scale and self._normal and not self._bounded:
            return ()
        numbers = (np.array([number]) for number in (noise_scale, curvature, distance))
        return tuple(self.unsound(features, *numbers))


def bent(distance: Floats, curvature: Floats) -> Floats:
    """Returns how many standard deviations of noise z reach a lead that bends towards it: z + curvature z^2 = distance.

    All of the bend is taken to lie in the one direction that matters, and to work against the label, which is the worst
    that the shift of the mean can stand for. `curvature` is above 0.
    """
    return np.asarray((np.sqrt(1.0 + 4.0 * curvature * distance) - 1.0) / (2.0 * curvature))


def trusted_scale(calibration: Calibration) -> float:
    """Returns the largest noise scale up to which the card's measures were true; 0 where they never were."""
    trusted = 0.0
    for level in sorted(calibration.noise_scales, key=lambda level: level.noise_scale):
        if not is_true(level):
            return trusted
        trusted = level.noise_scale
    return trusted


def is_true(level: NoiseCalibration) -> bool:
    """Returns whether the measures at one noise scale agree with the draws as far as few draws can tell."""
    if level.brier_skill is not None and level.uncertain_rows and level.brier_skill < LEAST_SKILL:
        return False
    if level.volatility_ratio is None or level.volatility_rows < FEWEST_ROWS:
        return True
    return all(
        low <= ratio and (not high or ratio <= high)
        for ratio, (low, high) in zip(level.volatility_ratio, VOLATILITY, strict=True)
    )
