"""Finds the smallest radius at which an attack changes a label, which no certificate can exceed."""

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.training.nn.fitted import FittedModel

STEPS = 40
BISECTIONS = 12
MOST = 4.0  # the largest radius that is tried, in standard deviations

Floats = NDArray[np.float64]


def attacked_radius(model: FittedModel, rows: Floats) -> Floats:
    """Returns the (rows,) radii in the features' standard deviations, by bisection; `MOST` where no attack succeeds."""
    label = model.scores(torch.from_numpy(rows)).numpy().argmax(axis=1)
    low, high = np.zeros(len(rows)), np.full(len(rows), MOST)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        flipped = _flips(model, rows, label, middle[:, None] * model.columns.std)
        low, high = np.where(flipped, low, middle), np.where(flipped, middle, high)
    return high


def _flips(model: FittedModel, rows: Floats, label: NDArray[np.int64], radius: Floats) -> NDArray[np.bool_]:
    """Returns (rows,) whether steps along the gradient's sign, towards the nearest rival, change the label."""
    each, at = np.arange(len(rows)), rows
    flipped = np.zeros(len(rows), dtype=bool)
    for step in range(STEPS):
        x = torch.from_numpy(at)
        scores, slopes = model.scores(x).numpy(), model.jacobian(x).numpy()
        flipped |= scores.argmax(axis=1) != label
        scores[each, label] = -np.inf
        rise = slopes[each, scores.argmax(axis=1)] - slopes[each, label]
        at = np.clip(at + 2.0 / (step + 2) * radius * np.sign(rise), rows - radius, rows + radius)
    return np.asarray(flipped | (model.scores(torch.from_numpy(at)).numpy().argmax(axis=1) != label))
