"""Compares a model's answers to the sample with the original file's and with those that the user expects."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from numpy.typing import NDArray

from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.head import Meaning
from chainzrule.training.adopt.source import OUTPUT, Source
from chainzrule.training.errors import AdoptionError

TOLERANCE = 1e-5  # the largest difference of a probability, or of a value relative to the largest value

Matrix = NDArray[np.float32]


def largest_difference(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Returns the largest absolute difference, divided by the largest expected magnitude where that is over 1."""
    gap = np.abs(found.astype(np.float64) - expected).max()
    return float(gap / max(1.0, np.abs(expected).max()))


def require_finite(*answers: NDArray[np.floating]) -> None:
    """Raises `AdoptionError` where a number is infinite or NaN."""
    if not all(np.isfinite(answer).all() for answer in answers):
        raise AdoptionError("the model's answers to the sample are not all finite; look for outliers in it")


def plain_answer(source: Source, x: Matrix) -> Matrix:
    """Returns the plain graph's (rows, columns) answer to rows, once it is known to equal the original file's.

    Raises:
        AdoptionError: the file cannot be run as it is, an answer is not finite, or the plain graph answers otherwise.
    """
    plain = opened(source.graph).run(x)[OUTPUT].reshape(len(x), -1)
    original = onnx.load_from_string(source.content)
    own_input, own_output = source.original
    if own_output not in {value.name for value in original.graph.output}:  # a ZipMap hides the tensor behind it
        original.graph.output.append(onnx.ValueInfoProto(name=own_output))
    try:
        session = onnxruntime.InferenceSession(original.SerializeToString(), providers=["CPUExecutionProvider"])
        kind = np.float64 if "double" in session.get_inputs()[0].type else np.float32
        own = session.run([own_output], {own_input: x.astype(kind).reshape(-1, *source.shape)})[0]
    except Exception as error:  # ONNX Runtime's errors share no narrower base
        raise AdoptionError(f"ONNX Runtime cannot run the file as it is ({type(error).__name__}: {error})") from None
    own = np.asarray(own, np.float32).reshape(len(x), -1)
    require_finite(own)
    if own.shape != plain.shape or not largest_difference(plain, own) <= TOLERANCE:
        raise AdoptionError("the graph made plain does not answer as the file does; please report the model")
    return plain


def served_difference(served: Mapping[str, Matrix], answer: Matrix, kind: Meaning) -> float:
    """Returns the largest difference between what would be served and the model's own answer.

    It is 0 where the answer is scores: of those a row's mean is taken off, which changes no probability.
    """
    if kind == "scores":
        return 0.0
    kept = served["probabilities" if kind == "probabilities" else "scores"]
    return largest_difference(kept[:, -answer.shape[1] :], answer)


def compare_expected(path: Path, labels: tuple[str, ...], served: Mapping[str, Matrix]) -> float:
    """Returns the largest difference between what would be served and the predictions that the user gives.

    Args:
        path: a CSV file: a column of probabilities for each label, or one column, of values or of the second of two
            labels' probability.
        labels: the model's labels, in its order; empty for a regression.
        served: the sample's `scores` and, for labels, `probabilities`.

    Raises:
        AdoptionError: it is more than `TOLERANCE`, or the file does not fit.
    """
    try:
        frame = pd.read_csv(path)  # `read_table` refuses a header of numbers, but labels may be numbers
    except (OSError, ValueError) as error:
        raise AdoptionError(f"{path}: cannot be read ({type(error).__name__}); give a CSV file") from None
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes):
        raise AdoptionError(f"{path}: must hold numbers only, the predicted probabilities or values")
    ours = served["probabilities"] if labels else served["scores"]
    names = [str(name) for name in frame.columns]
    if labels and set(names) == set(labels):
        theirs = frame.set_axis(names, axis=1)[list(labels)].to_numpy(dtype=np.float64)
    elif len(names) == 1 and len(labels) in (0, 2):
        theirs, ours = frame.to_numpy(dtype=np.float64), ours[:, -1:]
    else:
        wanted = f"a column for each label ({', '.join(labels)})" if labels else "one column, the value"
        raise AdoptionError(f"{path}: must have {wanted}; it has {', '.join(names[:10])}")
    if len(theirs) != len(ours):
        raise AdoptionError(f"{path}: has {len(theirs)} rows, not {len(ours)}; predict the sample's rows in order")
    gap = largest_difference(ours, theirs)
    if not gap <= TOLERANCE:
        row = int(np.abs(ours - theirs).max(axis=1).argmax()) + 1
        raise AdoptionError(
            f"{path}: the model answers otherwise, by {gap:.2g} at worst (row {row}); export the very model that "
            "made these predictions, with its preprocessing, in float32"
        )
    return gap
