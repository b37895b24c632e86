"""Turns statistics into surprises and sums them.

A surprise is minus the logarithm of the share of held-out rows whose statistic lies as far out. Surprises of
independent statistics add up, whatever units these have. The logarithm of the share is a broken line through a few
percentiles of the held-out rows, and beyond the last of them it goes on as that of an exponential law.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.onnxwriter import NodeWriter, Value

Floats = NDArray[np.float64]
Matrix = NDArray[np.floating]

FARTHEST = 1e15  # anything further out counts as this far, so that no square overflows in float32
LEAST = 1e-9  # the smallest distance; every statistic is a logarithm, which must stay a number
SHARES = (1.0, 0.5, 0.2, 0.1, 0.05)  # of the held-out rows, at which the line breaks


@dataclass(frozen=True)
class Surprises:
    """Holds a broken line for every statistic.

    Attributes:
        knots: (statistics * breaks,) float32, where the lines break, statistic by statistic.
        bends: (statistics * breaks, 1) float32, by how much the slope changes there.
        breaks: how many a line has.
    """

    knots: Matrix
    bends: Matrix
    breaks: int

    @classmethod
    def of(cls, statistics: Floats) -> "Surprises":
        """Returns the lines for the statistics, (rows, n), of held-out rows."""
        lines = [_line(values) for values in statistics.T]
        knots = np.concatenate([places for places, _ in lines]).astype(np.float32)
        bends = np.concatenate([np.diff(slopes, prepend=0.0) for _, slopes in lines])[:, None].astype(np.float32)
        return cls(knots, bends, len(SHARES))

    def total(self, statistics: Floats) -> Floats:
        """Returns (rows,) the sum of the surprises of statistics, (rows, n)."""
        beyond = np.maximum(np.repeat(statistics, self.breaks, axis=1) - self.knots, 0.0)
        return np.asarray((beyond @ self.bends.astype(np.float64))[:, 0])

    def write(self, writer: NodeWriter, statistics: Value) -> Value:
        """Writes the (batch, 1) sum, which becomes the output `novelty`."""
        repeated = np.repeat(np.eye(len(self.knots) // self.breaks, dtype=np.float32), self.breaks, axis=1)
        beyond = writer.node("Gemm", statistics, writer.constant(repeated), writer.constant(-self.knots)).relu()
        return writer.node("MatMul", beyond, writer.constant(self.bends), output="novelty")


def _line(values: Floats) -> tuple[Floats, Floats]:
    """Returns where the line breaks, and its slope from each break on."""
    shares = np.array(SHARES)
    places = np.quantile(values, 1.0 - shares)
    heights = -np.log(shares)
    # Where many rows have the same value, the line would rise without end.
    least = 1e-3 * max(float(places[-1] - places[0]), 1e-3)
    slopes = np.diff(heights) / np.maximum(np.diff(places), least)
    above = values[values >= places[-1]]
    return places, np.append(slopes, 1.0 / max(float(np.mean(above - places[-1])), least))
