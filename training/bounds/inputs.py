"""Carries a box of raw inputs to the scales on which the model graph reads bent columns."""

from dataclasses import dataclass

import numpy as np

from chainzrule.training.bounds.relaxation import LARGEST, UNIT
from chainzrule.training.data.bends import Bends
from chainzrule.training.onnxwriter import GraphWriter, Value

OPERATIONS = (
    16.0  # float32 roundings of a bent value, each of at most its own magnitude or 1; ONNX Runtime's asinh errs by 4
)
NOTHING = 1e-60  # times a size: 0 beside any bound, unless the size is infinite


@dataclass(frozen=True)
class BentInputs:
    """Holds the constants of `Bends` in a graph that computes in float64; straight columns have a steepness of 0."""

    keep: Value
    start: Value
    steepness: Value

    @classmethod
    def of(cls, bends: Bends, writer: GraphWriter) -> "BentInputs":
        """Writes the constants as the model graph has them, in float32."""
        parts = (bends.keep, bends.start, bends.steepness)
        return cls(*(writer.constant(part.astype(np.float32)) for part in parts))

    def read(self, low: Value, high: Value, cast: Value) -> tuple[Value, Value, Value]:
        """Returns the box on the scales of the columns, and how far a value in float32 may lie outside it.

        The scales rise, so a box stays a box.

        Args:
            low: (batch, D) the inputs' smallest values.
            high: (batch, D) the inputs' largest values.
            cast: (batch, D) how far an input may leave the box by its cast to float32.
        """
        far = abs(low).maximum(abs(high))
        moved = (UNIT + UNIT) * far  # as `cast`, but finite: an infinite one would leave no bound to compute with
        below, above = self._asinh(low - moved), self._asinh(high + moved)
        bent = 1.0 - self.keep
        reach = (far * self.steepness).maximum(far).infinite_above(LARGEST)
        error = OPERATIONS * UNIT * (1.0 + abs(below).maximum(abs(above))) + NOTHING * reach
        outside = self.keep.writer.node("Where", self.keep.writer.node("Greater", bent, 0.5), error, cast)
        return self.keep * low + bent * below, self.keep * high + bent * above, outside

    def _asinh(self, x: Value) -> Value:
        """Writes asinh(steepness (x - start)) by operators that ONNX Runtime has in float64."""
        placed = (x - self.start) * self.steepness
        size = abs(placed)
        return placed.sign() * self.keep.writer.node("Log", size + (size * size + 1.0).sqrt())
