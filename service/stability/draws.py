"""Measures stability with a fixed set of noise draws, for models without derivatives, such as trees.

The draws are the same for every row and every request, so that answers are repeatable. They come in pairs of opposite
sign. Slopes are those of the least-squares plane through the draws, which estimate the derivative of the model
smoothed by the noise.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.stability import flips
from chainzrule.service.stability.link import Link, Reading, softmax_gradient
from chainzrule.service.stability.measures import Diagnosis, count, join
from chainzrule.service.stability.noise import Noise
from chainzrule.service.stability.normal import tail

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Run = Callable[[Matrix], "Moved"]

CHUNK = 2**22  # the largest number of input values in one run


class Moved(NamedTuple):
    """Holds the outputs of one run: (rows, S) scores, and (rows, K) probabilities or None."""

    scores: Matrix
    probabilities: Matrix | None


class Drawn(NamedTuple):
    """Holds what was estimated for a batch from the draws.

    Attributes:
        diagnosis: the measures. `flip_distance` is infinite because draws give no distance, `gradient` is that of the
            link, and `gradient_norm` is the scores' total standard deviation divided by the noise scale.
        covariance: (rows, S, S) covariance of the scores over the draws, per sigma squared.
        slope: (rows, D) slope of the reported output, per raw unit.
        jacobian: (rows, S, D) slopes of the scores, per raw unit.
    """

    diagnosis: Diagnosis
    covariance: NDArray[np.float32]
    slope: Floats
    jacobian: NDArray[np.float32]


class NoiseDraws:
    """Measures rows with a seeded set of noise draws, which is the same for all rows."""

    def __init__(self, noise: Noise, count: int, seed: int) -> None:
        """Draws the noise `count` times; columns without noise never move."""
        share = np.zeros(len(noise.sd)) if noise.share is None else noise.share
        self.columns = np.flatnonzero((noise.sd > 0) | (share > 0))
        self.noise = noise
        # Only the legacy generator's stream is one that NumPy promises never to change.
        random = np.random.RandomState(seed)
        half = random.standard_normal((count // 2, len(self.columns)))
        if noise.law == "uniform":
            half = np.sqrt(3.0) * (1.0 - 2.0 * tail(half))
        elif noise.law == "t":
            freedom = noise.degrees_of_freedom
            tails = random.chisquare(freedom, (count // 2, len(noise.sd)))
            for group in noise.together:
                tails[:, group.columns] = tails[:, group.columns[:1]]
            half = half * np.sqrt((freedom - 2.0) / tails[:, self.columns])
        for group in noise.together:
            moving = np.isin(group.columns, self.columns)
            place = np.searchsorted(self.columns, group.columns[moving])
            half[:, place] = half[:, place] @ group.root[np.ix_(moving, moving)].T
        self.standard = np.concatenate([half, -half])
        self._fit = np.linalg.pinv(self.standard)
        self._chances = random.random_sample((count, len(noise.confusions)))

    def measure(self, link: Link, run: Run, features: Matrix, noise_scale: Floats) -> Drawn:
        """Returns what the draws do to rows, (rows, D), at multiples of the noise, (rows,)."""
        size = max(1, CHUNK // (len(self.standard) * features.shape[1]))
        parts = [
            self._measure(link, run, features[start : start + size], noise_scale[start : start + size])
            for start in range(0, len(features), size)
        ]
        diagnosis = join([part.diagnosis for part in parts])
        return Drawn(diagnosis, *(np.concatenate(field) for field in zip(*(part[1:] for part in parts), strict=True)))

    def _measure(self, link: Link, run: Run, features: Matrix, noise_scale: Floats) -> Drawn:
        rows, width = features.shape
        draws, each = len(self.standard), np.arange(rows)
        moved = np.repeat(features[:, None], draws, axis=1)
        sigma = self.noise.sizes(features)[:, self.columns]
        moved[:, :, self.columns] += (noise_scale[:, None, None] * (self.standard * sigma[:, None])).astype(np.float32)
        self.noise.limit(moved)
        for number, one in enumerate(self.noise.confusions):
            moved[:, :, one.block] = one.levels(features, noise_scale, self._chances[:, number])
        own, noisy = run(features), run(moved.reshape(-1, width))
        scores = noisy.scores.astype(np.float64).reshape(rows, draws, -1)
        s = own.scores.astype(np.float64)
        if own.probabilities is None or noisy.probabilities is None:
            reading, outputs, found = link.read(s), scores[:, :, 0], flips.none(rows)
        else:
            # The graph's own probabilities are what is answered; they may differ from the softmax in the last digit.
            label, p = link.label(s), own.probabilities.astype(np.float64)
            reading = Reading(label, p[each, label], softmax_gradient(p, label))
            outputs = noisy.probabilities.astype(np.float64).reshape(scores.shape)[each, :, label]
            found = flips.counted(link, s, scores, label)
        with np.errstate(invalid="ignore", over="ignore"):
            centred = scores - scores.mean(axis=1, keepdims=True)
            square = np.square(noise_scale)[:, None, None] * (draws - 1)
            covariance = centred.transpose(0, 2, 1) @ centred / square
            away = outputs - outputs.mean(axis=1, keepdims=True)
            unit = np.where(sigma > 0, sigma, np.inf) * noise_scale[:, None]  # what does not move here has no slope
            slope, jacobian = np.zeros((rows, width)), np.zeros((rows, s.shape[1], width), np.float32)
            slope[:, self.columns] = away @ self._fit.T / unit
            jacobian[:, :, self.columns] = centred.transpose(0, 2, 1) @ self._fit.T / unit[:, None]
            diagnosis = count(reading, outputs, found, covariance)
        return Drawn(diagnosis, covariance.astype(np.float32), slope, jacobian)
