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
from chainzrule.service import __main__, app, served
from chainzrule.service.artifact.store import StoredVersion, read_artifact
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.service.runtime.model import Inputs, Model
from chainzrule.service.serving.version import Costs, Record
from chainzrule.service.settings import Settings


class Plain:
    """A batch with nothing but its outputs."""

    def __init__(self, model: Model, outputs: dict[str, NDArray[np.float32]]) -> None:
        self._labels = model.card.labels
        self.scores = outputs["scores"]
        self.probabilities = outputs.get("probabilities")
        self.finite = np.isfinite(self.scores).all(axis=1)
        self.all_finite = bool(self.finite.all())

    @cached_property
    def answers(self) -> list[dict[str, Any]]:
        if self.probabilities is None:
            return [{"value": value} for value in self.scores[:, 0].tolist()]
        return [
            {"label": self._labels[label], "probabilities": dict(zip(self._labels, row, strict=True))}
            for label, row in zip(self.scores.argmax(axis=1).tolist(), self.probabilities.tolist(), strict=True)
        ]


class PlainModel(Model):
    """A model that only predicts."""

    def predict(self, inputs: Inputs) -> Any:
        return Plain(self, self.graphs["model"].run(inputs.features))


def open_plain(stored: StoredVersion, settings: Settings, execution: Execution) -> tuple[Model, Costs]:
    model = PlainModel(read_artifact(stored.path), execution)
    model.graphs["model"] = Graph(without_covariance(stored.path / "model.onnx"), "model.onnx", execution)
    return model, Costs(model)


class CountOnly(Record):
    """Counts runs, as ever, and nothing of their rows."""

    def __call__(self, batch: Any, rows: int, seconds: float) -> None:
        batch.seconds = seconds
        self._statistics.ran(rows, seconds)
        self._metrics.count_batch(rows, seconds)


if __name__ == "__main__":
    app._open = open_plain
    served.Record = CountOnly  # type: ignore[misc]
    sys.exit(__main__.main(sys.argv[1:]))
