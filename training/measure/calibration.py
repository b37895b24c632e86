"""Are the stability measures true? Held-out rows are run again and again with the noise that the measures speak of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Calibration, NoiseCalibration
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.measures import Diagnosis, diagnose
from chainzrule.training.measure.reliability import auroc, brier_skill, calibration_error, reliability, uncertain_error

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Scores = Callable[[Matrix], NDArray[np.floating]]

NOISE_SCALES = (0.5, 1.0, 2.0, 5.0, 10.0)
MAX_ROWS = 2000
DRAWS = 200
MAX_VALUES = 2**29  # noisy input values in all: wide rows are fewer
FEWEST_ROWS = 50
CHUNK = 2**22  # noisy input values at a time
FLIPPING = 0.05  # rows whose label changes this often: the verdict's default threshold of `unstable`
STILL = 0.01  # of a probability: volatility below is too small to be seen among the draws' own noise


@dataclass(frozen=True)
class Trial:
    """What a model says of rows, and what noise then did to them.

    Attributes:
        scores: (rows, S).
        covariance: (rows, S, S) at one noise sigma.
        mean_shift: (rows, S) at one noise sigma; None counts as nothing.
        flips: (noise scales, rows) share of the draws that changed the label; 0 for a regression.
        spread: (noise scales, rows) standard deviation of the reported output over the draws.
    """

    scores: NDArray[np.floating]
    covariance: NDArray[np.floating]
    mean_shift: NDArray[np.floating] | None
    flips: Floats
    spread: Floats


def sample(rows: int, width: int, most: int, seed: int) -> NDArray[np.int64]:
    """Which rows to try: all of few, else a random choice that takes a bounded time."""
    count = min(rows, most, max(FEWEST_ROWS, MAX_VALUES // (DRAWS * width)))
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


def simulate(
    link: Link, scores: Scores, x: Matrix, noise: Floats, seed: int, draws: int = DRAWS,
    noise_scales: Sequence[float] = NOISE_SCALES,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Run rows with drawn noise, the same draws at every scale; gives a trial's flips and spread.

    Args:
        link: what the scores mean.
        scores: (rows, S) scores of raw rows.
        x: (rows, D) raw rows.
        noise: (D,) one noise sigma in raw units.
        seed: of the draws.
        draws: how many a row.
        noise_scales: multiples of the noise.
    """
    random = np.random.default_rng(seed)
    flips, spread = np.zeros((2, len(noise_scales), len(x)))
    rows = max(1, CHUNK // (draws * x.shape[1]))
    sigma = noise.astype(np.float32)
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        drawn = random.standard_normal((len(part), draws, x.shape[1]), dtype=np.float32) * sigma
        label = link.label(scores(part).astype(np.float64))
        for number, scale in enumerate(noise_scales):
            noisy = (part[:, None] + np.float32(scale) * drawn).reshape(-1, x.shape[1])
            moved = scores(noisy).astype(np.float64)
            outputs = link.output(moved, np.repeat(label, draws)).reshape(len(part), draws)
            changed = link.label(moved).reshape(len(part), draws) != label[:, None]
            flips[number, start : start + rows] = changed.mean(axis=1)
            spread[number, start : start + rows] = outputs.std(axis=1, ddof=1)
    return flips, spread


def calibration(
    link: Link, trials: Sequence[Trial], seed: int, draws: int = DRAWS, noise_scales: Sequence[float] = NOISE_SCALES
) -> Calibration:
    """Compare the measures with what noise did, over the rows of all trials."""
    scores, covariance = (
        np.concatenate([getattr(trial, name) for trial in trials]) for name in ("scores", "covariance")
    )
    shifts = [trial.mean_shift for trial in trials if trial.mean_shift is not None]
    flips, spread = (np.concatenate([getattr(trial, name) for trial in trials], axis=1) for name in ("flips", "spread"))
    shift = np.concatenate(shifts) if shifts else None
    diagnoses = [diagnose(link, scores, covariance, np.full(len(scores), scale), shift) for scale in noise_scales]
    return compared(link, scores, diagnoses, flips, spread, seed, draws, noise_scales)


def compared(
    link: Link, scores: NDArray[np.floating], diagnoses: Sequence[Diagnosis], flips: Floats, spread: Floats,
    seed: int, draws: int = DRAWS, noise_scales: Sequence[float] = NOISE_SCALES,
) -> Calibration:  # fmt: skip
    """Compare measures, one batch for each noise scale, with what noise did, (noise scales, rows)."""
    levels = []
    probabilities = link.probabilities(scores.astype(np.float64))
    for number, (scale, found) in enumerate(zip(noise_scales, diagnoses, strict=True)):
        figures = {"noise_scale": scale, **_of_volatility(link, found, spread[number])}
        if probabilities is not None:
            figures |= _of_flips(found, flips[number], 1.0 - probabilities.max(axis=1))
        levels.append(NoiseCalibration.model_validate(figures))
    return Calibration(rows=len(scores), draws=draws, seed=seed, noise_scales=tuple(levels))


def _of_volatility(link: Link, found: Diagnosis, spread: Floats) -> dict[str, Any]:
    moving = spread > (0.0 if link.has_value else STILL)
    ratio = found.volatility[moving] / spread[moving]
    quantiles = np.quantile(ratio, (0.05, 0.5, 0.95)).tolist() if moving.any() else None
    return {"volatility_rows": int(moving.sum()), "volatility_ratio": quantiles}


def _of_flips(found: Diagnosis, flips: Floats, doubt: Floats) -> dict[str, Any]:
    stated, often = found.flip_probability, (flips >= FLIPPING).astype(np.float64)
    uncertain, error = uncertain_error(stated, flips)
    return {
        "flip_rate": float(flips.mean()),
        "calibration_error": calibration_error(stated, flips),
        "brier_skill": brier_skill(stated, flips),
        "uncertain_rows": uncertain,
        "uncertain_error": error,
        "auroc": auroc(stated, often, 1.0 - often),
        "auroc_softmax": auroc(doubt, often, 1.0 - often),
        "auroc_draws": auroc(stated, flips, 1.0 - flips),
        "auroc_draws_softmax": auroc(doubt, flips, 1.0 - flips),
        "auroc_draws_best": auroc(flips, flips, 1.0 - flips),
        "reliability": [
            {"rows": rows, "stated": expected, "seen": seen} for rows, expected, seen in reliability(stated, flips)
        ],
    }
