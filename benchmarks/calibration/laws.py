"""Compares the closed form of a flip's probability with draws from the very normal law that it assumes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import diagnose
from chainzrule.service.stability.normal import density, tail

Floats = NDArray[np.float64]

LABELS = (3, 10)
SIZES = (0.3, 1.0, 3.0)  # sizes of the scores, relative to noise of about 1
LAWS = 100


def measure(seed: int) -> list[dict[str, Any]]:
    """Returns the errors by number of labels and rank of the covariance, over laws of all sizes."""
    random = np.random.default_rng(seed)
    normal = stats.norm.ppf(stats.qmc.Sobol(max(LABELS) - 1, seed=seed).random(2**15))
    found = []
    for labels in LABELS:
        for rank in sorted({1, 2, 3, labels - 1} - set(range(labels, 4))):
            errors: dict[str, list[float]] = {"ours": [], "conditioning alone": [], "sum of pairs": []}
            for size in SIZES:
                for _ in range(LAWS):
                    scores, factor = size * random.normal(size=labels), random.normal(size=(labels, rank))
                    label = int(scores.argmax())
                    moved = scores + normal[:, :rank] @ factor.T
                    truth = float((moved.argmax(axis=1) != label).mean())
                    chance = diagnose(
                        link_of("classification", len(scores)), scores[None], (factor @ factor.T)[None], np.ones(1)
                    )
                    ahead = np.delete(factor[label] - factor, label, axis=0)
                    margin = np.delete(scores[label] - scores, label)
                    distance = margin / np.sqrt(np.square(ahead).sum(axis=1))
                    order = np.argsort(distance)
                    errors["ours"].append(float(chance.flip_probability[0]) - truth)
                    errors["conditioning alone"].append(_conditioned(margin[order], ahead[order]) - truth)
                    errors["sum of pairs"].append(min(float(tail(distance).sum()), 1.0) - truth)
            summary = {name: [float(np.mean(np.abs(e))), float(np.max(np.abs(e)))] for name, e in errors.items()}
            found.append({"labels": labels, "rank": rank, "laws": LAWS * len(SIZES), "errors": summary})
    return found


def table(found: list[dict[str, Any]]) -> str:
    lines = [
        f"Flip probability against {2**15:,} quasi-random draws from random normal laws of the scores, "
        f"{LAWS * len(SIZES)} a line:",
        "mean and largest absolute error.",
        "",
        "| labels | rank | ours | conditioning alone (Mendell and Elston) | sum of the rivals' own chances |",
        "|---|---|---|---|---|",
    ]
    for law in found:
        figures = " | ".join(f"{mean:.4f}, {largest:.3f}" for mean, largest in law["errors"].values())
        lines.append(f"| {law['labels']} | {law['rank']} | {figures} |")
    return "\n".join(lines)


def _conditioned(mean: Floats, factor: Floats) -> float:
    """Returns the probability that any of jointly normal quantities is negative.

    Each truncated law is approximated by a normal one.
    """
    mean, covariance, positive = mean.copy(), factor @ factor.T, 1.0
    for j in range(len(mean)):
        sd = np.sqrt(max(covariance[j, j], 1e-12))
        t = np.array(mean[j] / sd)
        above = max(1.0 - float(tail(t)), 1e-300)
        positive *= above
        hazard = float(density(t)) / above
        slope = covariance[j, j + 1 :] / sd
        mean[j + 1 :] += slope * hazard
        covariance[j + 1 :, j + 1 :] -= hazard * (hazard + float(t)) * np.outer(slope, slope)
    return 1.0 - positive
