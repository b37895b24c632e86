"""Judges a row of few columns by a Gaussian density: how far it lies out, and which column does not fit the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.columns import Columns
from chainzrule.training.novelty.covariance import shrunk_covariance
from chainzrule.training.novelty.surprise import FARTHEST, LEAST
from chainzrule.training.onnxwriter import NodeWriter, Value

Floats = NDArray[np.float64]
Matrix = NDArray[np.floating]

STRAIGHT = 1e3  # standard deviations within which an asinh is as good as a straight line
BENDS = (0.1, 0.3, 1.0, 3.0)  # where a logarithmic scale begins, in standard deviations from a column's extreme
GAIN = 0.3  # by how much a bent scale has to lower the skewness
LEAST_LEVEL_SPREAD = 0.3  # of a level's column: a rare level alone makes no row novel


@dataclass(frozen=True)
class Table:
    """Holds a Gaussian density of columns on scales that make them symmetric, asinh((x - start) / bend).

    Attributes:
        start: (D,) float32, in raw units.
        steepness: (D,) float32, 1 / bend.
        mean: (D,) the means on the symmetric scales.
        precision: (D, D) inverse covariance there; 0 for columns that say nothing of their own.
        unit: (D,) makes standard deviations, given all other columns, of what `precision` times a row is.
    """

    start: Matrix
    steepness: Matrix
    mean: Matrix
    precision: Matrix
    unit: Matrix

    @classmethod
    def of(cls, x: Matrix, columns: Columns) -> "Table":
        """Returns the density of raw rows, (rows, D)."""
        rows = x.astype(np.float64)
        level = np.zeros(columns.width, np.bool_)
        first = np.zeros(columns.width, np.bool_)
        for block in columns.blocks:
            level[block] = True
            first[block.start] = True  # follows from the other levels
        scales = [
            _straight(column) if is_level else _scale(column) for column, is_level in zip(rows.T, level, strict=True)
        ]
        start, steepness = np.array(scales, dtype=np.float32).T
        bent = _bent(rows, start, steepness)
        mean, spread = bent.mean(axis=0), bent.std(axis=0)
        used = (rows.min(axis=0) < rows.max(axis=0)) & (spread > 0) & ~first
        spread = np.where(level, np.maximum(spread, LEAST_LEVEL_SPREAD * steepness), spread)
        precision, unit = np.zeros((columns.width, columns.width)), np.zeros(columns.width)
        if used.any():
            own = spread[used]
            covariance = shrunk_covariance((bent[:, used] - mean[used]) / own)
            covariance += np.diag(np.maximum(1.0 - np.diag(covariance), 0.0))  # what a rare level lacks
            inverse = np.linalg.inv(covariance)
            precision[np.ix_(used, used)] = inverse / np.outer(own, own)
            unit[used] = own / np.sqrt(np.diag(inverse))
        return cls(start, steepness, *(part.astype(np.float32) for part in (mean, precision, unit)))

    def deviations(self, x: Matrix) -> Floats:
        """Returns (rows, D) how far each column lies from what the others let expect, in standard deviations."""
        return np.asarray((self._centred(x) @ self.precision) * self.unit)

    def statistics(self, x: Matrix) -> Floats:
        """Returns (rows, 2), the logarithms of the squared distance and of the largest deviation of a column."""
        centred = self._centred(x)
        weighed = centred @ self.precision
        distance = (centred * weighed).sum(axis=1)
        largest = np.abs(weighed * self.unit).max(axis=1)
        return np.asarray(np.log(np.maximum(np.stack([distance, largest], axis=1), LEAST)))

    def write(self, writer: NodeWriter, features: Value) -> tuple[Value, Value]:
        """Writes the (batch, 2) statistics and the (batch, D) deviations, which become the output `deviations`."""
        placed = (features - writer.constant(self.start)) * writer.constant(self.steepness)
        bent = writer.node("Asinh", writer.node("Clip", placed, -FARTHEST, FARTHEST))
        centred = bent - writer.constant(self.mean)
        weighed = centred @ writer.constant(self.precision)
        distance = writer.node("ReduceSum", centred * weighed, writer.integers((1,)), keepdims=1)
        deviations = writer.node("Mul", weighed, writer.constant(self.unit), output="deviations")
        # TopK is the same in all opsets, which ReduceMax is not.
        largest, _ = writer.outputs("TopK", 2, abs(deviations), writer.integers((1,)), axis=1)
        return writer.node("Log", distance.concatenate(largest).maximum(LEAST)), deviations

    def _centred(self, x: Matrix) -> Floats:
        return _bent(x.astype(np.float64), self.start, self.steepness) - self.mean


def _bent(x: Floats, start: Matrix, steepness: Matrix) -> Floats:
    return np.asarray(np.arcsinh(np.clip((x - start) * steepness, -FARTHEST, FARTHEST)))


def _straight(column: Floats) -> tuple[float, float]:
    return float(column.mean()), 1.0 / (STRAIGHT * (float(column.std()) or 1.0))


def _scale(column: Floats) -> tuple[float, float]:
    """Returns start and steepness of the scale on which a column's values are least skewed."""
    straight, spread = _straight(column), float(column.std())
    if spread == 0.0:
        return straight
    bends = [(end, 1.0 / (bend * spread)) for end in (float(column.min()), float(column.max())) for bend in BENDS]
    skewed = _skewness(column, *straight)
    skewness, best = min((_skewness(column, *scale), scale) for scale in bends)
    return best if skewness < skewed - GAIN else straight


def _skewness(column: Floats, start: float, steepness: float) -> float:
    bent = np.arcsinh((column - start) * steepness)
    centred = bent - bent.mean()
    spread = float(bent.std())
    return abs(float(np.mean(centred**3))) / spread**3 if spread > 0 else 0.0
