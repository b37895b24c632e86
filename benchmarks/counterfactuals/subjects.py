"""Loads what counterfactuals are made of: shipped models, the tables they were trained on, and rows of them."""

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
Row = list[Any]


@dataclass(frozen=True)
class Subject:
    """A shipped model with rows to change.

    Attributes:
        model: its name.
        table: all rows that it was trained on; none where only the service is asked.
        rows: those to change.
        change: what the service is asked for.
        range: of a regression, the numbers to reach.
    """

    model: str
    table: list[Row]
    rows: list[Row]
    change: dict[str, Any] = field(default_factory=dict)
    range: tuple[float, float] | None = None


def breast_cancer(count: int) -> Subject:
    """Breast cancer: the other label."""
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer().data.tolist()
    return Subject("breast-cancer", table, _spread(table, count))


def diabetes(count: int) -> Subject:
    """Diabetes: a progression of at least 150 for those with a lower one; the sex stays."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    table = [[row[0], str(int(row[1])), *row[2:]] for row in data.data.tolist()]
    low = [row for row, progression in zip(table, data.target.tolist(), strict=True) if progression < 100]
    return Subject("diabetes", table, _spread(low, count), {"at_least": 150, "frozen": ["sex"]}, (150.0, 350.0))


def digits(count: int) -> Subject:
    """Test digits: any other digit."""
    with gzip.open(ROOT / "tests/data/t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), dtype=np.uint8, offset=16).reshape(-1, 784)
    return Subject("digits", [], _spread(images.astype(float).tolist(), count))


SUBJECTS = {"breast-cancer": breast_cancer, "diabetes": diabetes, "digits": digits}


def _spread(rows: list[Row], count: int) -> list[Row]:
    return rows[:: max(1, len(rows) // count)][:count]
