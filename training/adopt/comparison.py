"""Compares a model's answers to the sample with those of the library that it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chainzrule.training.adopt.meaning import Meaning
from chainzrule.training.adopt.original import TOLERANCE, largest_difference
from chainzrule.training.errors import AdoptionError

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Says how far the served answers lie from the library's.

    Attributes:
        rows: how many were compared.
        difference: the largest, of a probability, or of a value relative to the largest value.
        rows_off: in how many rows it is over `TOLERANCE`.
        worst: the row in which it is largest, counted from 1.
    """

    rows: int
    difference: float
    rows_off: int
    worst: int


def served_difference(served: Mapping[str, Matrix], answer: Matrix, kind: Meaning) -> float:
    """Returns the largest difference between what would be served and the model's own answer.

    It is 0 where the answer is scores: of those a row's mean is taken off, which changes no probability.
    """
    if kind in ("scores", "margin"):
        return 0.0
    kept = served["probabilities" if kind == "probabilities" else "scores"]
    return largest_difference(kept[:, -answer.shape[1] :], answer)


def read_expected(path: Path, labels: tuple[str, ...]) -> Floats:
    """Returns the predictions that the user gives, (rows, labels) or one column.

    Args:
        path: a CSV file: a column of probabilities for each label, or one column, of values or of the second of two
            labels' probability.
        labels: the model's labels, in its order; empty for a regression.

    Raises:
        AdoptionError: the file does not fit.
    """
    try:
        frame = pd.read_csv(path)  # `read_table` refuses a header of numbers, but labels may be numbers
    except (OSError, ValueError) as error:
        raise AdoptionError(f"{path}: cannot be read ({type(error).__name__}); give a CSV file") from None
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes):
        raise AdoptionError(f"{path}: must hold numbers only, the predicted probabilities or values")
    names = [str(name) for name in frame.columns]
    if set(labels) == {"false", "true"}:
        names = [name.lower() for name in names]
    if labels and set(names) == set(labels):
        return _as_probabilities(frame.set_axis(names, axis=1)[list(labels)].to_numpy(dtype=np.float64), path)
    if len(names) == 1 and len(labels) in (0, 2):
        found = frame.to_numpy(dtype=np.float64)
        return _as_probabilities(found, path) if labels else found
    wanted = f"a column for each label ({', '.join(labels)})" if labels else "one column, the value"
    raise AdoptionError(f"{path}: must have {wanted}; it has {', '.join(names[:10])}")


def _as_probabilities(found: Floats, path: Path) -> Floats:
    """Refuses predictions of labels that cannot be their probabilities."""
    low, high = float(np.nanmin(found)), float(np.nanmax(found))
    if low < -0.05 or high > 1.05:
        raise AdoptionError(
            f"{path}: reaches from {low:.3g} to {high:.3g}, which are no probabilities of labels; give those, or say "
            "--task regression if the score itself is to be served"
        )
    return found


def compare(
    served: Mapping[str, Matrix], expected: Floats, tolerance: float, operators: set[str], place: str
) -> Comparison:
    """Returns how far what would be served lies from what the library predicts.

    Args:
        served: the sample's `scores` and, for labels, `probabilities`.
        expected: (rows, labels), or (rows, 1) of values or of the second of two labels' probability.
        tolerance: the largest difference that the user accepts.
        operators: that the model's answer needs, by which a difference is explained.
        place: where the predictions come from.

    Raises:
        AdoptionError: the difference is larger, or the predictions are not as many as the rows.
    """
    ours = served["scores"]
    if len(expected) != len(ours):
        raise AdoptionError(f"{place}: has {len(expected)} rows, not {len(ours)}; predict the sample's rows in order")
    gaps = apart(served, expected)
    off = ~(gaps <= TOLERANCE)
    found = Comparison(len(ours), float(gaps.max()), int(off.sum()), int(np.argmax(gaps)) + 1)
    if not found.difference <= tolerance:
        count = f"{found.rows_off} of {found.rows} rows"
        raise AdoptionError(
            f"{place}: {count} differ by more than {TOLERANCE:g}, by {found.difference:.2g} at worst (row "
            f"{found.worst}); {_cause(operators, found)}"
        )
    return found


def rows_off(served: Mapping[str, Matrix], expected: Floats) -> NDArray[np.int64]:
    """Returns the rows in which what would be served is off by more than `TOLERANCE`; none where rows are missing."""
    if len(expected) != len(served["scores"]):
        return np.array([], np.int64)
    return np.flatnonzero(~(apart(served, expected) <= TOLERANCE))


def apart(served: Mapping[str, Matrix], expected: Floats) -> Floats:
    """Returns (rows,) the largest difference of each row, relative to the largest value where that is over 1."""
    ours = served.get("probabilities", served["scores"])[:, -expected.shape[1] :].astype(np.float64)
    return np.asarray(np.abs(ours - expected).max(axis=1) / max(1.0, float(np.abs(expected).max())))


def _cause(operators: set[str], found: Comparison) -> str:
    """Returns what such differences usually come from, and what to do."""
    accepted = f"--tolerance {_rounded_up(found.difference):g} accepts it knowingly"
    if any(
        kind.startswith(("Quantize", "Dequantize", "QLinear", "DynamicQuantize")) or "Integer" in kind
        for kind in operators
    ):
        return f"the file computes in 8 bits, the predictions were made otherwise; {accepted}"
    trees = any(kind.startswith("TreeEnsemble") for kind in operators)
    if trees and found.rows_off < found.rows / 4:
        return (
            "these rows lie at a step of the model (a tree's threshold, a calibration's), on whose other side float32 "
            f"puts them; {accepted}"
        )
    if found.difference < 1e-2:
        return (
            "the file computes in another precision than the library (float16 or float32 against float64), or a "
            f"column's numbers are too large for float32; {accepted}"
        )
    return (
        "export the very model that made these predictions, with its preprocessing, in float32; some converters lose "
        "the link or the base score of boosters"
    )


def _rounded_up(number: float) -> float:
    """Returns a number that is a little larger and has one digit."""
    unit = 10.0 ** np.floor(np.log10(number))
    return float(np.ceil(number / unit) * unit)
