"""Measures on the shipped digits how many answers are wrong under noise when the most doubtful ones are withheld."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.abstention.scores import FITTED, RIVAL, Said, doubts, fitted
from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.runtime.model import Model

ROOT = Path(__file__).parents[2]
SHARE = 0.05  # of the answers that are withheld
BATCH = 1000

Matrix = NDArray[np.float32]
Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]


def measure(noise_scale: float, draws: int, seed: int, rows: int | None = None) -> dict[str, Any]:
    """Returns the share of wrong answers by score, for scores of the noisy rows and of the rows before the noise."""
    artifact = read_artifact(ROOT / "models/digits/1")
    card = artifact.card
    assert card.conformity is not None
    assert card.conformity.temperature is not None
    temperature = card.conformity.temperature
    model = Model(card, artifact.graphs, Execution("cpu", threads=1))
    images, labels = _read("images-idx3", 16).reshape(-1, 784)[:rows], _read("labels-idx1", 8)[:rows].astype(np.int64)
    random = np.random.default_rng(seed)
    half = random.permutation(len(labels)) < len(labels) // 2
    x = images.astype(np.float32)
    before = _said(model, x)
    clean, usual = doubts(model.link, before, temperature, noise_scale, seed), model.link.label(before.scores)
    measured: dict[str, list[Any]] = {"noisy": [], "before": []}
    wrong, changed = [], []
    for draw in range(draws):
        noisy = x + random.normal(size=x.shape).astype(np.float32) * np.float32(noise_scale) * model.rows.noise
        said = _said(model, noisy.astype(np.float32))
        answers = model.link.label(said.scores)
        wrong.append(np.asarray(answers != labels))
        changed.append(np.asarray(answers != usual))
        measured["noisy"].append(doubts(model.link, said, temperature, noise_scale, seed + draw))
        measured["before"].append(clean)
    return {
        "rows": len(labels),
        "draws": draws,
        "seed": seed,
        "noise_scale": noise_scale,
        "share": SHARE,
        "error": float(np.mean(wrong)),
        "error_without_noise": float(np.mean(usual != labels)),
        "changed": float(np.mean(changed)),
        "ways": {way: _errors(scores, wrong, changed, half) for way, scores in measured.items()},
    }


def _errors(
    scores: list[dict[str, Floats]], wrong: list[Mask], changed: list[Mask], half: Mask
) -> dict[str, dict[str, float]]:
    """Returns by score the error of the answers that are left, with its standard error, also beside the rival's.

    `changed` is the share of them that the noise changed.
    """
    every = [_with_fitted(one, errors, half) for one, errors in zip(scores, wrong, strict=True)]
    found: dict[str, dict[str, float]] = {}
    left: dict[str, Floats] = {}
    moved: dict[str, float] = {}
    for name in every[0]:
        kept = [keep(one[name], half) for one in every]
        counts = np.stack([errors & stays for errors, stays in zip(wrong, kept, strict=True)])
        left[name] = counts.mean(axis=0) / np.mean(kept)
        moved[name] = float(np.sum(np.stack(changed) & np.stack(kept)) / np.sum(kept))
    rows = len(half)
    for name, per_row in left.items():
        beside = per_row - left[RIVAL]
        found[name] = {
            "error": float(per_row.mean()),
            "standard_error": float(per_row.std() / np.sqrt(rows)),
            "beside": float(beside.mean()),
            "changed": moved[name],
            "beside_standard_error": float(beside.std() / np.sqrt(rows)),
        }
    return found


def _with_fitted(scores: dict[str, Floats], wrong: Mask, half: Mask) -> dict[str, Floats]:
    """Returns the scores with the fitted one, which for each half is fitted to the rows of the other."""
    together = np.zeros(len(half))
    for part in (half, ~half):
        score = fitted({name: values[~part] for name, values in scores.items()}, wrong[~part])
        together[part] = score({name: values[part] for name, values in scores.items()})
    return {**scores, FITTED: together}


def keep(doubt: Floats, half: Mask) -> Mask:
    """Returns the (rows,) mask of the answers that are given: in each half all but the most doubtful `SHARE`."""
    kept = np.ones(len(doubt), np.bool_)
    for part in (half, ~half):
        index = np.flatnonzero(part)
        worst = np.argsort(-doubt[index], kind="stable")[: round(SHARE * len(index))]
        kept[index[worst]] = False
    return kept


def _said(model: Model, x: Matrix) -> Said:
    runs = [model.graphs["model"].run(x[start : start + BATCH]) for start in range(0, len(x), BATCH)]
    joined = {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}
    return Said(joined["scores"], joined["covariance"], joined.get("mean_shift"), joined["novelty"][:, 0])


def _read(part: str, header: int) -> NDArray[np.uint8]:
    content = gzip.decompress((ROOT / f"tests/data/t10k-{part}-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=header)
