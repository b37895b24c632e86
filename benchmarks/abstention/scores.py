"""Scores noisy rows by how doubtful their answers are: as others do, and by what the service says."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainzrule.service.stability.link import Link
from chainzrule.service.stability.measures import diagnose
from chainzrule.service.stability.temperature import chance_right

Floats = NDArray[np.floating]

RIVAL = "largest probability"
FITTED = "all of them, fitted to the other half"
DRAWS = 64  # of the scores, for the chance that is averaged over the noise


@dataclass(frozen=True)
class Said:
    """Holds what the model's graph says of rows: (rows, S) scores, their covariance, their mean shift, the surprise."""

    scores: Floats
    covariance: Floats
    mean_shift: Floats | None
    surprise: Floats


def doubts(link: Link, said: Said, temperature: float, noise_scale: float, seed: int) -> dict[str, Floats]:
    """Returns (rows,) of every score, of which more means more doubt; all were decided on before any was measured."""
    found = diagnose(link, said.scores, said.covariance, np.full(len(said.scores), noise_scale), said.mean_shift)
    probabilities = link.probabilities(said.scores.astype(np.float64))
    assert probabilities is not None
    right = chance_right(link, said.scores, found.label, temperature)
    # Most rows flip with a chance that rounds to nothing: among those the nearer boundary decides.
    flips = found.flip_probability + 1e-9 / (1.0 + found.flip_distance)
    return {
        RIVAL: 1.0 - probabilities[np.arange(len(right)), found.label],
        "chance to be right": 1.0 - right,
        "flip probability": flips,
        "novelty": said.surprise,
        "right and not flipped": 1.0 - right * (1.0 - flips),
        "chance to be right, mean over the noise": 1.0
        - _mean_chance(link, said, found.label, temperature, noise_scale, seed),
    }


def fitted(known: dict[str, Floats], wrong: NDArray[np.bool_]) -> Callable[[dict[str, Floats]], Floats]:
    """Returns a score that puts the others together, by a logistic regression on rows whose errors are known."""

    def inputs(scores: dict[str, Floats]) -> Floats:
        return np.stack([np.log(np.maximum(values, 1e-12)) for values in scores.values()], axis=1)

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(inputs(known), wrong)
    return lambda scores: np.asarray(model.decision_function(inputs(scores)))


def _mean_chance(
    link: Link, said: Said, label: NDArray[np.int64], temperature: float, noise_scale: float, seed: int
) -> Floats:
    """Returns the chance that the label is right, averaged over scores that are drawn with their covariance."""
    values, vectors = np.linalg.eigh(said.covariance.astype(np.float64))
    spread = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :] * noise_scale
    random = np.random.default_rng(seed)
    total = np.zeros(len(label))
    for _ in range(DRAWS):
        drawn = said.scores + np.einsum("rij,rj->ri", spread, random.normal(size=said.scores.shape))
        total += chance_right(link, drawn, label, temperature)
    return total / DRAWS
