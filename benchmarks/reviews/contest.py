"""Fits one method to one encoding of the reviews, and measures it on reviews that it has not seen."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.training.fairfight.measure import GLANCED_ROWS, gradient_norms, labels
from chainzrule.training.fairfight.plan import grid
from chainzrule.training.fairfight.problems import Problem
from chainzrule.training.fairfight.settings import Settings
from chainzrule.training.fairfight.trial import Trial, fitted
from chainzrule.training.fitting.losses import task_loss
from chainzrule.training.measure.quality import agreement
from chainzrule.training.text.encoded import TextFile, encoded
from chainzrule.training.text.encoding import Encoding
from chainzrule.training.text.pooled import PooledVectors
from chainzrule.training.text.reviews import LEVELS, read_yelp_sample
from chainzrule.training.text.sentences import SentenceVectors

METHODS: Mapping[str, str] = {
    "linear": "Logistic regression",
    "relu": "ReLU",
    "relu-layers": "ReLU, DREG per layer",
    "chainzrule-layers": "ChainzRule, DREG per layer",
    "chainzrule": "ChainzRule, DREG on the Fisher information",
    "chainzrule-free": "ChainzRule without DREG",
}
ENCODINGS: Mapping[str, str] = {"pooled": "Pooled word vectors", "sentence": "Sentence encoder"}

HIDDEN, EPOCHS, BATCH = (64, 64), 15, 128
SEEDS = (1, 2, 3, 4, 5)
SUBSAMPLE_SEED = 0


@dataclass(frozen=True)
class Sources:
    """Says where the reviews and the encoders lie."""

    reviews: Path
    vectors: Path
    encoder: Path

    def encoding(self, name: str) -> Encoding:
        return PooledVectors(self.vectors) if name == "pooled" else SentenceVectors(self.encoder)


@dataclass(frozen=True)
class Job:
    """Describes a fit: `tune` is judged on validation rows, `test` on test rows."""

    encoding: str
    method: str
    settings: Settings
    seed: int
    stage: str


@lru_cache(maxsize=2)
def problem(encoding: str, sources: Sources) -> Problem:
    """Returns the reviews, standardised by the training rows; settings are chosen on a balanced part of `dev.csv`."""
    files = [TextFile(sources.reviews / f"{name}.csv", read_yelp_sample) for name in ("train", "dev", "test")]
    train, dev, test = encoded(files, sources.encoding(encoding), progress=True)
    mean, std = train.x.mean(axis=0), train.x.std(axis=0)
    watched = balanced(dev.levels)
    parts = [
        (torch.from_numpy((x - mean) / np.where(std > 0, std, 1)).float(), torch.from_numpy(levels))
        for x, levels in ((train.x, train.levels), (dev.x[watched], dev.levels[watched]), (test.x, test.levels))
    ]
    return Problem("yelp5", "table", "ordinal", LEVELS - 1, parts[0], parts[1], parts[2], levels=LEVELS)


def balanced(levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns ascending row indices with equally many of every level, drawn without replacement."""
    random = np.random.default_rng(SUBSAMPLE_SEED)
    rows = [np.flatnonzero(levels == level) for level in range(LEVELS)]
    fewest = min(map(len, rows))
    return np.sort(np.concatenate([random.choice(places, fewest, replace=False) for places in rows]))


def jobs(encoding: str, method: str) -> list[Job]:
    """Returns the fits from which a method's setting is chosen: nine for each method."""
    return [Job(encoding, method, settings, 0, "tune") for settings in grid("yelp5", method)]


def chosen(encoding: str, method: str, results: list[dict[str, Any]]) -> list[Job]:
    """Returns the fits of the setting with the smallest validation loss.

    A method without randomness needs only one fit.
    """
    tuned = [result for result in results if result["method"] == method and result["stage"] == "tune"]
    best = min(tuned, key=lambda result: result["loss"] if result["loss"] is not None else np.inf)
    seeds = SEEDS[:1] if method == "linear" else SEEDS
    return [Job(encoding, method, Settings(**best["settings"]), seed, "test") for seed in seeds]


def run(job: Job, sources: Sources) -> dict[str, Any]:
    """Fits and judges; a fit that diverged has no figures."""
    torch.set_num_threads(1)
    here = problem(job.encoding, sources)
    if job.method == "linear":
        here = here.unordered
    trial = Trial("yelp5", job.method, HIDDEN, job.settings, EPOCHS, BATCH, job.seed, "test")
    network, parameters = fitted(trial, here, here.train)
    result = asdict(job) | {"parameters": parameters, "loss": None, "figures": None}
    if network is None:
        return result
    if job.stage == "tune":
        x, y = here.validation
        with torch.no_grad():
            return result | {"loss": float(task_loss(here.task)(network(x), y))}
    x, y = here.test
    answers, levels = labels(network, x, here.link).numpy(), y.numpy()
    rows = {"balanced": balanced(levels), "natural": np.arange(len(levels))}
    figures: dict[str, Any] = {name: agreement(levels[part], answers[part]) for name, part in rows.items()}
    g, _ = gradient_norms(network, x[:GLANCED_ROWS], here.link)
    return result | {"figures": figures | {"peak_p99": float(np.percentile(g, 99)), "peak_max": float(g.max())}}
