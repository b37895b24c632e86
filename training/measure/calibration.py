"""Compares the stability measures with what noise did to the same rows. Needs no torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Calibration, NoiseCalibration
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.measures import Diagnosis, diagnose
from chainzrule.training.measure.reliability import auroc, brier_skill, calibration_error, reliability, uncertain_error
from chainzrule.training.measure.simulation import DRAWS, NOISE_SCALES, Simulation

Floats = NDArray[np.float64]

FLIPPING = 0.05  # rows whose label changes this often: the verdict's default threshold of `unstable`
STILL = 0.01  # a smaller volatility of a probability cannot be told from the draws' own noise


def calibration(
    link: Link,
    simulations: Sequence[Simulation],
    seed: int,
    draws: int = DRAWS,
    noise_scales: Sequence[float] = NOISE_SCALES,
) -> Calibration:
    """Returns how the measures compare with the effect of noise, over the rows of all simulations."""
    scores, covariance = (
        np.concatenate([getattr(part, name) for part in simulations]) for name in ("scores", "covariance")
    )
    shifts = [part.mean_shift for part in simulations if part.mean_shift is not None]
    flips, spread = (
        np.concatenate([getattr(part, name) for part in simulations], axis=1) for name in ("flips", "spread")
    )
    shift = np.concatenate(shifts) if shifts else None
    diagnoses = [diagnose(link, scores, covariance, np.full(len(scores), scale), shift) for scale in noise_scales]
    return compared(link, scores, diagnoses, flips, spread, seed, draws, noise_scales)


def compared(
    link: Link,
    scores: NDArray[np.floating],
    diagnoses: Sequence[Diagnosis],
    flips: Floats,
    spread: Floats,
    seed: int,
    draws: int = DRAWS,
    noise_scales: Sequence[float] = NOISE_SCALES,
) -> Calibration:
    """Returns how measures, one batch for each noise scale, compare with the effect of noise, (noise scales, rows)."""
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
