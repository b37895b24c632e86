"""Measures tables with usual mistakes in them, in rows that neither the densities nor their limit were made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.metrics import roc_auc_score

from benchmarks.novelty.anomalies import mistakes
from benchmarks.novelty.rivals import of_inputs
from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.verdict import Thresholds
from chainzrule.training.columns import Columns
from chainzrule.training.data.bundled import bundled_dataset
from chainzrule.training.data.dataset import Dataset
from chainzrule.training.data.table import table_dataset
from chainzrule.training.novelty.novelty import fit_novelty, held_out_surprise

FOLDS = 5
KEEL = ("pima", "vehicle")
OURS = "novelty"


@dataclass(frozen=True)
class Counted:
    """Holds the figures of one split: AUROC by kind and score, the share of each kind found, and false alarms."""

    auroc: dict[str, dict[str, float]]
    found: dict[str, float]
    false_alarms: float


def measure(keel: Path | None, repeats: int, seed: int) -> dict[str, Any]:
    """Returns the mean figures over the splits, by table."""
    results = {}
    for name, dataset in _datasets(keel, seed):
        splits = list(_splits(dataset, repeats, seed))
        kinds = {
            kind: {
                "auroc": {
                    score: float(np.mean([one.auroc[kind][score] for one in splits])) for score in splits[0].auroc[kind]
                },
                "novel": float(np.mean([one.found[kind] for one in splits])),
            }
            for kind in splits[0].auroc
        }
        alarms = float(np.mean([one.false_alarms for one in splits]))
        results[name] = {"rows": len(dataset.train), "false_alarms": alarms, "kinds": kinds}
    return results


def _splits(dataset: Dataset, repeats: int, seed: int) -> Iterator[Counted]:
    rows, columns = dataset.train, Columns.of(dataset.features, None)
    levels = {column for block in columns.blocks for column in range(block.start, block.stop)}
    numeric = np.array([column for column in range(columns.width) if column not in levels])
    label = rows.y.astype(np.int64) if dataset.labels else None
    for repeat in range(repeats):
        random = np.random.default_rng([seed, repeat])
        for fresh in np.array_split(random.permutation(len(rows)), FOLDS):
            others = np.setdiff1d(np.arange(len(rows)), fresh)
            known, x = rows.x[others], rows.x[fresh]
            novelty, held = fit_novelty(known, None, columns, None, seed), held_out_surprise(known, columns, seed)
            assert novelty is not None
            assert held is not None
            limit = np.quantile(held, Thresholds().novel_percentile / 100)
            scores = {OURS: novelty.score, **of_inputs(known, None if label is None else label[others])}
            usual = {name: score(x) for name, score in scores.items()}
            auroc, found = {}, {}
            for kind, spoilt in mistakes(x, known, numeric, random).items():
                far = {name: score(spoilt) for name, score in scores.items()}
                truth = np.r_[np.zeros(len(x)), np.ones(len(x))]
                auroc[kind] = {name: float(roc_auc_score(truth, np.r_[usual[name], far[name]])) for name in scores}
                found[kind] = float(np.mean(far[OURS] > limit))
            yield Counted(auroc, found, float(np.mean(usual[OURS] > limit)))


def _datasets(keel: Path | None, seed: int) -> Iterator[tuple[str, Dataset]]:
    for name in ("breast-cancer", "diabetes", "wine"):
        yield name, bundled_dataset(name, seed)
    iris = datasets.load_iris(as_frame=True)
    yield "iris", _table(iris.frame.assign(target=iris.target_names[iris.target]), "classification", seed)
    for name in KEEL if keel is not None else ():
        assert keel is not None
        lines = [line for line in (keel / f"{name}.dat").read_text().splitlines() if line and not line.startswith("@")]
        frame = pd.DataFrame([line.replace(" ", "").split(",") for line in lines])
        target = frame.columns[-1]
        numbers = frame.drop(columns=target).astype(float).rename(columns=str)
        yield name, _table(numbers.assign(target=frame[target]), "classification", seed)


def _table(frame: pd.DataFrame, task: Task, seed: int) -> Dataset:
    return table_dataset(frame, "target", task, seed=seed)[0]
