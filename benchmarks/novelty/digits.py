"""Measures the shipped digits on their test rows and on pictures that are no such digits."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.novelty.anomalies import pictures
from benchmarks.novelty.rivals import Said, of_answers, of_inputs
from chainzrule.loaded import LoadedModel, load
from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.data.idx import find_idx, read_idx

ROOT = Path(__file__).parents[2]
SPOILT = 2000  # test digits that are made into something else
OURS = "novelty"

Matrix = NDArray[np.float32]


def measure(mnist: Path | None, fashion: Path | None, seed: int) -> dict[str, Any]:
    """Returns the figures by kind of picture: AUROC by score, and the shares that are novel and stable."""
    random = np.random.default_rng(seed)
    test = _images(ROOT / "tests/data", "t10k")
    label = read_idx(find_idx(ROOT / "tests/data", "t10k-labels-idx1-ubyte"), 1).astype(np.int64)
    artifact = read_artifact(ROOT / "models/digits/1")
    graph = Graph(artifact.graphs["model"], "model.onnx", Execution("cpu", threads=1))
    if mnist is None:  # half of the test digits have to serve as the known ones
        order = random.permutation(len(test))
        known, classes = test[order[: len(test) // 2]], label[order[: len(test) // 2]]
        test = test[np.sort(order[len(test) // 2 :])]
    else:
        known = _images(mnist, "train")
        classes = read_idx(find_idx(mnist, "train-labels-idx1-ubyte"), 1).astype(np.int64)
    by_inputs = of_inputs(known, classes)

    def scores(x: Matrix) -> dict[str, NDArray[np.floating]]:
        said = graph.run(x)
        found = of_answers(Said(said["scores"], said["probabilities"]))
        found |= {name: score(x) for name, score in by_inputs.items()}
        return {OURS: said["novelty"][:, 0], **found}

    model = load(ROOT / "models", "digits")
    usual = scores(test)
    kinds = {"test digits": _answered(model, test)}
    spoilt = pictures(test[:SPOILT], fashion, random)
    for kind, rows in spoilt.items():
        truth = np.r_[np.zeros(len(test)), np.ones(len(rows))]
        found = scores(rows)
        auroc = {name: float(roc_auc_score(truth, np.r_[usual[name], found[name]])) for name in usual}
        kinds[kind] = {"auroc": auroc, **_answered(model, rows)}
    return {"rows": len(test), "known": len(known), "fresh_false_alarms": _fresh(usual[OURS], random), "kinds": kinds}


def _fresh(novelty: NDArray[np.floating], random: np.random.Generator, splits: int = 200) -> float:
    """Returns the share of test digits above the 98.5th percentile of as many others, over random halves."""
    shares = []
    for _ in range(splits):
        order = random.permutation(len(novelty))
        one, other = np.array_split(order, 2)
        shares.append(np.mean(novelty[other] > np.quantile(novelty[one], 0.985)))
    return float(np.mean(shares))


def _answered(model: LoadedModel, rows: Matrix) -> dict[str, float]:
    """Returns the shares of rows that are novel, that are stable, and that were stable before novelty was asked for."""
    stability = [answer["stability"] for answer in model.predict(rows.astype(float))]
    reasons = [set(one["reasons"]) for one in stability]
    return {
        "novel": float(np.mean(["novel" in one for one in reasons])),
        "stable": float(np.mean([one["verdict"] == "stable" for one in stability])),
        "steady": float(np.mean([not one - {"novel"} for one in reasons])),
    }


def _images(folder: Path, part: str) -> Matrix:
    return read_idx(find_idx(folder, f"{part}-images-idx3-ubyte"), 3).reshape(-1, 784).astype(np.float32)
