"""`python -m benchmarks.serving.undiagnosed ...`: the service with its diagnostics taken out, to price them.

Same HTTP, same engine, same metrics of requests and runs; but the graph is cut down to scores and probabilities,
answers are label and probabilities (or the value), and nothing is measured, judged, or entered into a window.
"""

import sys
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.graphs import without_covariance
from chainzrule.cli import main
from chainzrule.service import app
from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.runtime.graph import Graph
from chainzrule.service.runtime.model import Model
from chainzrule.service.runtime.selfcheck import golden_features
from chainzrule.service.serving.costs import Costs
from chainzrule.service.serving.load import Loader, Opened
from chainzrule.service.serving.runs import Runs
from chainzrule.service.stability.outputs import Inputs
from chainzrule.service.stability.standard import Standard


class Plain:
    """Holds a batch with nothing but its outputs."""

    def __init__(self, labels: tuple[str, ...], outputs: dict[str, NDArray[np.float32]]) -> None:
        self._labels = labels
        self.scores = outputs["scores"]
        self.probabilities = outputs.get("probabilities")
        self.finite = np.isfinite(self.scores).all(axis=1)
        self.all_finite = bool(self.finite.all())

    @cached_property
    def written(self) -> list[dict[str, Any]]:
        """Returns the answers."""
        if self.probabilities is None:
            return [{"value": value} for value in self.scores[:, 0].tolist()]
        return [
            {"label": self._labels[label], "probabilities": dict(zip(self._labels, row, strict=True))}
            for label, row in zip(self.scores.argmax(axis=1).tolist(), self.probabilities.tolist(), strict=True)
        ]

    def listed(self) -> Any:
        return self.written

    def observed(self) -> None:
        """Does nothing: no row is entered into a window."""


class PlainRuns(Runs):
    """Runs the graph and only predicts."""

    def predict(self, inputs: Inputs) -> Any:
        return Plain(self._model.interface.labels, self._model.graphs["model"].run(inputs.features))


class PlainLoader(Loader):
    """Loads versions without their covariance, and without the check that would miss it."""

    def open(self, stored: StoredVersion) -> Opened:
        artifact = read_artifact(stored.path)
        card = artifact.card
        model = Model(card, artifact.graphs, self.execution)
        model.graphs["model"] = Graph(without_covariance(stored.path / "model.onnx"), "model.onnx", self.execution)
        standard = Standard(model.link, model.rows.ranges, card.reference, self.thresholds, card.conformity)
        runs = PlainRuns(model, standard)
        return Opened(card, model, standard, runs, None, Costs(model, runs, golden_features(card)))


if __name__ == "__main__":
    app.Loader = PlainLoader  # type: ignore[misc]
    sys.exit(main(["serve", *sys.argv[1:]]))
