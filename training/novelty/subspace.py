"""Judges a row of many columns by its principal components: how much it varies within them, and how much beside them.

A row that varies too little in both, like an empty picture, is as unlike the others as one that varies too much.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from chainzrule.training.columns import Columns
from chainzrule.training.novelty.surprise import FARTHEST, LEAST
from chainzrule.training.onnxwriter import NodeWriter, Value

Floats = NDArray[np.float64]
Matrix = NDArray[np.floating]

COMPONENTS = 64  # chosen on held-out training digits among 16 to 128 (benchmarks/novelty)
RESIDUAL = 1e-3  # the smallest residual as a share of the whole: below, float32 knows little of it
LEAST_VARIANCE = 1e-5  # of a component, as a share of the largest


@dataclass(frozen=True)
class Subspace:
    """Holds principal components, and how the logarithms of what lies in them and beside them are distributed.

    Attributes:
        mean: (D,) float32, in raw units.
        scale: (D,) float32, 1 / standard deviation; None where all columns have the same unit, as pixels do.
        directions: (D, R) float16, the orthonormal components.
        weight: (R, 1) float32, 1 / (R variance) of each component.
        centre: (2,) means of both logarithms.
        whitening: (2, 2) makes both uncorrelated, with variance 1.
    """

    mean: Matrix
    scale: Matrix | None
    directions: Matrix
    weight: Matrix
    centre: Matrix
    whitening: Matrix

    @classmethod
    def of(cls, x: Matrix, columns: Columns) -> "Subspace":
        """Returns the components of raw rows, (rows, D)."""
        scale = None if columns.pooled else (1.0 / columns.std).astype(np.float32)
        mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = x - mean if scale is None else (x - mean) * scale
        # float32 is enough for the components, and a covariance of many columns takes half the time.
        covariance = (centred.T @ centred).astype(np.float64) / len(x)
        variance, directions = np.linalg.eigh(covariance)
        kept = max(1, min(COMPONENTS, columns.width // 2, len(x) // 4))
        variance, directions = variance[::-1][:kept], directions[:, ::-1][:, :kept]
        signs = np.where(directions[np.abs(directions).argmax(axis=0), np.arange(kept)] < 0, -1.0, 1.0)
        least = max(float(variance[0]) * LEAST_VARIANCE, float(np.finfo(np.float32).tiny))
        part = cls(
            mean,
            scale,
            (directions * signs).astype(np.float16),
            (1.0 / (kept * np.maximum(variance, least)))[:, None].astype(np.float32),
            np.zeros(2, np.float32),
            np.eye(2, dtype=np.float32),
        )
        both = part._logarithms(x)
        centre = both.mean(axis=0)
        spread = np.cov(both.T) + LEAST * np.eye(2)
        whitening = np.linalg.inv(np.linalg.cholesky(spread)).T
        return cls(
            part.mean, scale, part.directions, part.weight, centre.astype(np.float32), whitening.astype(np.float32)
        )

    def statistics(self, x: Matrix) -> Floats:
        """Returns (rows, 1), the logarithm of the squared distance of both logarithms from their means."""
        away = (self._logarithms(x) - self.centre) @ self.whitening
        return np.asarray(np.log(np.maximum((away * away).sum(axis=1, keepdims=True), LEAST)))

    def write(self, writer: NodeWriter, features: Value) -> Value:
        """Writes the (batch, 1) statistic."""
        centred = features - writer.constant(self.mean)
        if self.scale is not None:
            centred = centred * writer.constant(self.scale)
        centred = writer.node("Clip", centred, -FARTHEST, FARTHEST)
        components = centred @ writer.constant(self.directions).cast(TensorProto.FLOAT)
        inside = (components * components) @ writer.constant(self.weight)
        total = _sum_of_squares(writer, centred)
        beside = (total - _sum_of_squares(writer, components)).maximum(total * RESIDUAL)
        both = writer.node("Log", inside.concatenate(beside).maximum(LEAST))
        away = (both - writer.constant(self.centre)) @ writer.constant(self.whitening)
        return writer.node("Log", _sum_of_squares(writer, away).maximum(LEAST))

    def _logarithms(self, x: Matrix) -> Floats:
        parts = []
        for chunk in np.array_split(x, max(1, len(x) // 4096)):
            centred = chunk.astype(np.float64) - self.mean
            if self.scale is not None:
                centred = centred * self.scale
            centred = np.clip(centred, -FARTHEST, FARTHEST)
            components = centred @ self.directions.astype(np.float64)
            inside = ((components * components) @ self.weight.astype(np.float64))[:, 0]
            total = (centred * centred).sum(axis=1)
            beside = np.maximum(total - (components * components).sum(axis=1), total * RESIDUAL)
            parts.append(np.stack([inside, beside], axis=1))
        return np.asarray(np.log(np.maximum(np.concatenate(parts), LEAST)))


def _sum_of_squares(writer: NodeWriter, value: Value) -> Value:
    return writer.node("ReduceSum", value * value, writer.integers((1,)), keepdims=1)
