"""Judges a row's activations by their distance from the class that the row is said to belong to.

Distances are in units of the spread within classes, and their mean is by the row's own probabilities.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.novelty.covariance import shrunk_covariance
from chainzrule.training.novelty.surprise import FARTHEST, LEAST
from chainzrule.training.onnxwriter import NodeWriter, Value

Floats = NDArray[np.float64]
Matrix = NDArray[np.floating]


@dataclass(frozen=True)
class Classes:
    """Holds the classes' means, where the spread within all classes alike is whitened.

    Attributes:
        whitening: (H, H) float32.
        offset: (H,) float32, minus the whitened overall mean.
        means: (K, H) float32, the whitened means of the classes.
    """

    whitening: Matrix
    offset: Matrix
    means: Matrix

    @classmethod
    def of(cls, activations: Matrix, label: NDArray[np.int64], count: int) -> "Classes":
        """Returns the classes of activations, (rows, H), with a label below `count` for each row."""
        values = activations.astype(np.float64)
        overall = values.mean(axis=0)
        means = np.repeat(overall[None], count, axis=0)  # of a class that does not occur, too
        for each in np.unique(label):
            means[each] = values[label == each].mean(axis=0)
        precision = np.linalg.inv(shrunk_covariance(values - means[label]))
        whitening = np.linalg.cholesky((precision + precision.T) / 2.0)
        parts = (whitening, -overall @ whitening, (means - overall) @ whitening)
        return cls(*(part.astype(np.float32) for part in parts))

    def statistics(self, activations: Matrix, probabilities: Matrix) -> Floats:
        """Returns (rows, 1), the logarithm of the squared distance from the classes, averaged by probabilities."""
        white = np.clip(activations @ self.whitening.astype(np.float64) + self.offset, -FARTHEST, FARTHEST)
        squares = np.stack([((white - mean) ** 2).sum(axis=1) for mean in self.means.astype(np.float64)], axis=1)
        return np.asarray(np.log(np.maximum((squares * probabilities).sum(axis=1, keepdims=True), LEAST)))

    def write(self, writer: NodeWriter, activations: Value, probabilities: Value | None) -> Value:
        """Writes the (batch, 1) statistic; probabilities may be None where there is one class."""
        white = writer.node("Gemm", activations, writer.constant(self.whitening), writer.constant(self.offset))
        white = writer.node("Clip", white, -FARTHEST, FARTHEST)
        own = writer.node("ReduceSumSquare", white, writer.integers((1,)), keepdims=1)
        means = self.means.astype(np.float64)
        crossed = writer.constant(np.ascontiguousarray(-2.0 * means.T).astype(np.float32))
        squares = own + writer.node("Gemm", white, crossed, writer.constant((means**2).sum(axis=1).astype(np.float32)))
        if probabilities is not None:
            squares = writer.node("ReduceSum", squares * probabilities, writer.integers((1,)), keepdims=1)
        return writer.node("Log", squares.maximum(LEAST))
