"""Holds a loaded model version, which computes scores with their covariance and derivatives for rows."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import Role
from chainzrule.service.artifact.interface import Interface
from chainzrule.service.artifact.store import graph_file
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.service.runtime.probe import Probe
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import Diagnosis, diagnose
from chainzrule.service.stability.outputs import Outputs

Matrix = NDArray[np.float32]


class Model:
    """Runs the open graphs of a model version. It is safe to use from several threads.

    Attributes:
        interface: the model's inputs and outputs.
        link: what its scores mean.
        rows: encodes rows as the graphs take them.
        graphs: the graphs by role, except the bounds graph.
        execution: where the graphs run.
        probe: measures by running further rows, where the graphs have no derivatives; else None.
    """

    def __init__(self, interface: Interface, graphs: Mapping[Role, bytes], execution: Execution) -> None:
        """Opens the graphs; `selfcheck.load` also checks them against a card.

        Raises:
            ArtifactError: a graph cannot be loaded.
            DeviceError: ONNX Runtime did not load a graph on the execution's device.
        """
        self.interface = interface
        self.link = link_of(interface.task, interface.scores)
        self.execution = execution
        self.rows = RowEncoder(interface)
        self.graphs: dict[Role, Graph] = {
            role: Graph(content, graph_file(role), execution) for role, content in graphs.items() if role != "bounds"
        }
        self.probe: Probe | None = None
        if interface.method != "analytic":
            self.probe = Probe(interface, self.rows, self.graphs["model"])

    def predict(self, features: Matrix, noise_scale: NDArray[np.float64]) -> Outputs:
        """Returns the outputs for rows, (rows, D), with what is needed to measure them at `noise_scale`, (rows,)."""
        outputs = self.graphs["model"].run(features)
        if self.probe is None:
            return Outputs(
                outputs["scores"],
                outputs.get("probabilities"),
                outputs["covariance"],
                outputs.get("mean_shift"),
                novelty=_one_column(outputs.get("novelty")),
                deviations=outputs.get("deviations"),
            )
        found = self.probe.measure(features, noise_scale)
        return Outputs(
            outputs["scores"],
            outputs.get("probabilities"),
            found.covariance,
            counted=found.diagnosis,
            slope=found.slope,
            novelty=_one_column(outputs.get("novelty")),
            deviations=outputs.get("deviations"),
        )

    def answer(self, features: Matrix) -> Outputs:
        """Returns only scores and probabilities, which needs no further rows where the model has to be probed."""
        outputs = self.graphs["model"].run(features)
        return Outputs(
            outputs["scores"],
            outputs.get("probabilities"),
            novelty=_one_column(outputs.get("novelty")),
            deviations=outputs.get("deviations"),
        )

    def diagnose(self, features: Matrix, noise_scale: NDArray[np.float64]) -> tuple[Outputs, Diagnosis]:
        """Returns the outputs for rows and their measures at multiples of the noise, (rows,)."""
        outputs = self.predict(features, noise_scale)
        if outputs.counted is not None:
            return outputs, outputs.counted
        assert outputs.covariance is not None
        return outputs, diagnose(self.link, outputs.scores, outputs.covariance, noise_scale, outputs.mean_shift)

    def score(self, features: Matrix) -> Matrix:
        """Returns only the (rows, S) scores."""
        return self.graphs["model"].run(features)["scores"]

    def differentiate(self, features: Matrix) -> NDArray[np.float32]:
        """Returns the (rows, S, D) derivative of the scores with respect to the features in raw units."""
        if self.probe is not None:
            return self.probe.differentiate(features)
        return self.graphs["jacobian"].run(features)["jacobian"]

    def layer_norms(self, features: Matrix) -> Matrix:
        """Returns the (rows, L) Frobenius norm of the derivative after each layer, per noise sigma."""
        return self.graphs["layers" if "layers" in self.graphs else "jacobian"].run(features)["layer_norms"]


def _one_column(values: Matrix | None) -> Matrix | None:
    """Returns (rows,) for an output of shape (rows, 1)."""
    return None if values is None else values[:, 0]
