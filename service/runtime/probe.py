"""Measures the stability of models whose graph has no derivatives, by running further rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import NumericFeature
from chainzrule.service.artifact.interface import Interface
from chainzrule.service.runtime.graph import Graph
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.stability.differences import central_differences
from chainzrule.service.stability.draws import Drawn, Moved, NoiseDraws
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import Diagnosis

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]


class Probed(NamedTuple):
    """Holds what the further rows gave for a batch.

    Attributes:
        covariance: (rows, S, S) covariance of the scores at one noise sigma.
        diagnosis: the measures, where draws gave them; None where they follow from the covariance.
        slope: (rows, D) slope of the reported output per raw unit, where draws gave it; else None.
    """

    covariance: NDArray[np.float32]
    diagnosis: Diagnosis | None = None
    slope: Floats | None = None


class Probe:
    """Measures by the interface's method, central differences or noise draws.

    Attributes:
        rows: the number of further rows that one row takes.
    """

    def __init__(self, interface: Interface, encoder: RowEncoder, graph: Graph) -> None:
        self._link = link_of(interface.task, interface.scores)
        self._graph = graph
        self._noise = encoder.noise
        self._columns = encoder.ranges.columns
        self._takes_gaps = encoder.gaps is not None
        self._draws: NoiseDraws | None = None
        if interface.draws is not None:
            self._draws = NoiseDraws(encoder.errors, interface.draws.count, interface.draws.seed)
            self.rows = interface.draws.count
        elif interface.differences is not None:
            std = [feature.std for feature in interface.inputs() if isinstance(feature, NumericFeature)]
            self._steps = (interface.differences.step * np.array(std)).astype(np.float32)
            self.rows = 2 * len(std)
        else:
            raise ValueError(f"an interface of method {interface.method} has nothing to probe with")

    def measure(self, features: Matrix, noise_scale: Floats) -> Probed:
        """Measures rows, (rows, D), at multiples of the noise, (rows,)."""
        if self._draws is not None:
            drawn = self._drawn(self._draws, features, noise_scale)
            return Probed(drawn.covariance, drawn.diagnosis, drawn.slope)
        noisy = self.differentiate(features) * self._noise.astype(np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            return Probed(noisy @ noisy.transpose(0, 2, 1))

    def differentiate(self, features: Matrix) -> NDArray[np.float32]:
        """Returns the (rows, S, D) slopes of the scores per raw unit; draws give those smoothed by the noise."""
        if self._draws is not None:
            return self._drawn(self._draws, features, np.ones(len(features))).jacobian
        found = central_differences(self._scores, features, self._columns, self._steps)
        if self._takes_gaps:  # what moves beside a gap is still a gap
            found[np.broadcast_to(np.isnan(features)[:, None], found.shape)] = 0.0
        return found

    def _drawn(self, draws: NoiseDraws, features: Matrix, noise_scale: Floats) -> Drawn:
        return draws.measure(self._link, self._run, features, noise_scale)

    def _scores(self, features: Matrix) -> Matrix:
        return self._graph.run(features)["scores"]

    def _run(self, features: Matrix) -> Moved:
        outputs = self._graph.run(features)
        return Moved(outputs["scores"], outputs.get("probabilities"))
