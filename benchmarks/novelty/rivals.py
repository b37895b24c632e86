"""Scores rows as others do: by the largest probability, the energy, Mahalanobis's distance and nearest neighbours."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

Floats = NDArray[np.floating]
Score = Callable[[Floats], Floats]

NEIGHBOURS = 5
COMPONENTS = 100  # of pictures, in which their distances are taken
MOST_KNOWN = 20_000  # rows whose neighbours are looked for


@dataclass(frozen=True)
class Said:
    """Holds what a model says of rows: (rows, K) scores and probabilities."""

    scores: Floats
    probabilities: Floats


def of_answers(said: Said) -> dict[str, Floats]:
    """Returns the scores that need the model's answers alone."""
    largest = said.scores.max(axis=1)
    return {
        "1 - largest probability": 1 - said.probabilities.max(axis=1),
        "energy": -largest - np.log(np.exp(said.scores - largest[:, None]).sum(axis=1)),
    }


def of_inputs(known: Floats, label: NDArray[np.int64] | None) -> dict[str, Score]:
    """Returns the scores by the inputs of known rows; with labels, the distance is from the nearest class."""
    if known.shape[1] > COMPONENTS:
        components = PCA(COMPONENTS, random_state=0).fit(known)
        place: Score = components.transform
    else:
        mean, spread = known.mean(axis=0), known.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)

        def place(x: Floats) -> Floats:
            return (x - mean) / scale

    placed = place(known)
    label = np.zeros(len(known), np.int64) if label is None else label
    means = np.stack([placed[label == each].mean(axis=0) for each in np.unique(label)])
    within = placed - means[np.unique(label, return_inverse=True)[1]]
    precision = np.linalg.pinv(np.cov(within.T))
    near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(placed[:MOST_KNOWN])

    def mahalanobis(x: Floats) -> Floats:
        away = place(x)[:, None] - means
        return np.einsum("rkd,de,rke->rk", away, precision, away, optimize=True).min(axis=1)

    def neighbours(x: Floats) -> Floats:
        return near.kneighbors(place(x))[0][:, -1]

    return {"Mahalanobis": mahalanobis, f"{NEIGHBOURS}th neighbour": neighbours}
