"""A loaded model version: rows in, diagnosed predictions and derivatives out. Knows no HTTP and no clock."""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import ModelCard, Role
from chainzrule.service.artifact.store import Artifact, graph_file
from chainzrule.service.runtime.bounds import BoundsGraph
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.service.runtime.probe import Probe
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.stability.lone.measures import MAX_SCORES, RowDiagnosis, diagnose_row
from chainzrule.service.stability.measures import Diagnosis, diagnose
from chainzrule.service.stability.verdict import (
    VERDICTS,
    RowVerdict,
    Thresholds,
    Verdicts,
    judge,
    judge_row,
    percentile,
    percentile_row,
)

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Inputs(NamedTuple):
    """Rows to be predicted.

    Attributes:
        features: (rows, D) float32.
        noise_scale: (rows,) multiples of the card's noise at which to measure.
        observe: (rows,) whether a row enters metrics and window.
    """

    features: Floats
    noise_scale: NDArray[np.float64]
    observe: NDArray[np.bool_]


class LoneRow(NamedTuple):
    """What is measured of a row that is run by itself; `percentile` as in `Predictions`."""

    measures: RowDiagnosis
    verdict: RowVerdict
    percentile: float


class Predictions:
    """A diagnosed batch. Arrays have the rows first.

    Attributes:
        scores: (rows, S) float32.
        probabilities: (rows, K) float32; None for regression.
        covariance: (rows, S, S) float32, at one noise sigma.
        mean_shift: (rows, S) float32, what one noise sigma adds to the scores' mean; None where the graph has none.
        all_finite: whether all outputs are.
        finite: (rows,) whether all of the row's outputs are finite; the measures of other rows mean nothing.
        slope: (rows, D) of the reported output per raw unit, where noise draws gave it; else None.
        lone: what was measured in plain floats, where the batch is one row of few scores; else None.
    """

    def __init__(
        self,
        model: "Model",
        inputs: Inputs,
        outputs: Mapping[str, Floats],
        thresholds: Thresholds,
        diagnosis: Diagnosis | None = None,
        slope: NDArray[np.float64] | None = None,
    ) -> None:
        card = model.card
        self.task = card.task
        self._model = model
        self.inputs = inputs
        self.scores = outputs["scores"]
        self.probabilities = outputs.get("probabilities")
        self.covariance = outputs["covariance"]
        self.mean_shift = outputs.get("mean_shift")
        self.slope = slope
        self.lone: LoneRow | None = None
        if len(self.scores) == 1 and self.scores.shape[1] <= MAX_SCORES and diagnosis is None:
            self._measure_row(card, thresholds)
        else:
            self._measure_batch(card, thresholds, diagnosis)

    def __len__(self) -> int:
        return len(self.scores)

    def _measure_batch(self, card: ModelCard, thresholds: Thresholds, counted: Diagnosis | None) -> None:
        scores, covariance, mean_shift = self.scores, self.covariance, self.mean_shift
        finite = np.isfinite(covariance).all(axis=(1, 2)) & np.isfinite(scores).all(axis=1)
        if mean_shift is not None:
            finite &= np.isfinite(mean_shift).all(axis=1)
        self.finite: Mask = np.asarray(finite)
        self.all_finite = bool(self.finite.all())
        if not self.all_finite:
            # Measured as zeros, so that one bad row raises no warning over a batch it shares with others.
            scores = np.where(self.finite[:, None], scores, 0.0)
            covariance = np.where(self.finite[:, None, None], covariance, 0.0)
            if mean_shift is not None:
                mean_shift = np.where(self.finite[:, None], mean_shift, 0.0)
        self.diagnosis = (
            diagnose(card.task, scores, covariance, self.inputs.noise_scale, mean_shift) if counted is None else counted
        )
        self.verdicts = judge(card.task, self.diagnosis, self.is_outside, card.reference, thresholds)
        self.percentile = percentile(self.diagnosis.volatility, card.reference)

    def _measure_row(self, card: ModelCard, thresholds: Thresholds) -> None:
        s, C = self.scores[0].tolist(), self.covariance[0].tolist()
        shift = None if self.mean_shift is None else self.mean_shift[0].tolist()
        # Finite float32 values cannot overflow a float64 sum.
        self.all_finite = math.isfinite(sum(s) + sum(map(sum, C)) + sum(shift or ()))
        self.finite = np.array([self.all_finite])
        if not self.all_finite:
            s, C, shift = [0.0] * len(s), [[0.0] * len(s)] * len(s), None
        row = diagnose_row(card.task, s, C, self.inputs.noise_scale.item(), shift)
        outside = self._model.rows.is_outside(self.inputs.features)
        verdict = judge_row(card.task, row, outside, card.reference, thresholds)
        self.lone = LoneRow(row, verdict, percentile_row(row.volatility, card.reference))

    @cached_property
    def outside(self) -> Mask:
        """(rows, numeric features) which features lie outside the range seen in training."""
        return self._model.rows.outside(self.inputs.features)

    @cached_property
    def is_outside(self) -> Mask:
        """(rows,) whether any does."""
        return np.asarray(self.outside.any(axis=1))

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The measures."""
        return Diagnosis(*(np.array([value]) for value in self._lone.measures))

    @cached_property
    def verdicts(self) -> Verdicts:
        """The verdicts."""
        return Verdicts(*(np.array([value]) for value in self._lone.verdict))

    @cached_property
    def percentile(self) -> NDArray[np.float64]:
        """(rows,) of the volatility among the card's held-out rows."""
        return np.array([self._lone.percentile])

    @property
    def _lone(self) -> LoneRow:
        assert self.lone is not None  # batches have their arrays from the start
        return self.lone

    @cached_property
    def answers(self) -> list[dict[str, Any]]:
        """Each row as the API answers it; made once for the whole batch."""
        task, labels = self._model.card.task, self._model.card.labels
        columns, levels, percentiles = self._columns()
        index, values, volatility, flip_distance, flip_probability, runner_up, norms = columns
        scales = self.inputs.noise_scale.tolist()
        outside = self.is_outside.tolist() if self.lone is None else [self.lone.verdict.outside]
        probabilities = [] if self.probabilities is None else self.probabilities.tolist()
        answers = []
        for row, level in enumerate(levels):
            stability: dict[str, Any] = {
                "verdict": VERDICTS[level],
                "reasons": self.verdicts.reasons(row) if level else [],
                "volatility": volatility[row],
                "percentile": percentiles[row] if scales[row] == 1.0 else None,
            }
            if task != "regression":
                distance = flip_distance[row]
                stability["flip_distance"] = distance if distance != math.inf else None
                stability["flip_probability"] = flip_probability[row]
                stability["runner_up"] = labels[runner_up[row]]
            stability["gradient_norm"] = norms[row]
            stability["out_of_range"] = self.outside_names(row) if outside[row] else []
            answer: dict[str, Any] = {}
            if task != "regression":
                answer["label"] = labels[index[row]]
            if task != "classification":
                answer["value"] = values[row]
            if probabilities:
                answer["probabilities"] = dict(zip(labels, probabilities[row], strict=True))
            answer["stability"] = stability
            answers.append(answer)
        return answers

    def _columns(self) -> tuple[list[list[Any]], list[int], list[float]]:
        """The measures but for the gradient, the verdicts' levels and the percentiles, each a list over the rows."""
        if self.lone is not None:
            measures, verdict, rank = self.lone
            return [[value] for value in measures[:-1]], [verdict.level], [rank]
        return (
            [field.tolist() for field in self.diagnosis[:-1]],
            self.verdicts.level.tolist(),
            self.percentile.tolist(),
        )

    def outside_names(self, row: int) -> list[str]:
        """The features of a row that lie outside their range."""
        return [self._model.rows.numeric[column] for column in np.flatnonzero(self.outside[row]).tolist()]


class Unmeasured(Predictions):
    """Predictions whose stability was not computed, because it would take further runs; nothing of it is observed."""

    @cached_property
    def answers(self) -> list[dict[str, Any]]:
        """Each row as the API answers it; `out_of_range` is known all the same."""
        return [
            {**answer, "stability": {"verdict": "not_computed", "out_of_range": answer["stability"]["out_of_range"]}}
            for answer in super().answers
        ]


class Model:
    """A model version's graphs, opened. Safe to use from several threads."""

    def __init__(self, artifact: Artifact, execution: Execution, thresholds: Thresholds | None = None) -> None:
        """Open the graphs; `selfcheck.load` also makes sure that they are what the card says.

        Raises:
            ArtifactError: a graph cannot be loaded.
            DeviceError: the execution's device turned out not to be used.
        """
        self.card: ModelCard = artifact.card
        self.execution = execution
        self.rows = RowEncoder(artifact.card)
        self.graphs: dict[Role, Graph] = {
            role: Graph(content, graph_file(role), execution)
            for role, content in artifact.graphs.items()
            if role != "bounds"
        }
        self.bounds: BoundsGraph | None = None
        if "bounds" in artifact.graphs:
            content = artifact.graphs["bounds"]
            self.bounds = BoundsGraph(artifact.card, self.rows.noise, content, execution.threads)
        self.thresholds = thresholds or Thresholds()
        self.probe = (
            None if artifact.card.method == "analytic" else Probe(artifact.card, self.rows, self.graphs["model"])
        )

    def predict(self, inputs: Inputs) -> Predictions:
        """Run the model graph and measure."""
        outputs = self.graphs["model"].run(inputs.features)
        if self.probe is None:
            return Predictions(self, inputs, outputs, self.thresholds)
        found = self.probe.measure(inputs.features, inputs.noise_scale)
        outputs["covariance"] = found.covariance
        return Predictions(self, inputs, outputs, self.thresholds, found.diagnosis, found.slope)

    def answer(self, inputs: Inputs) -> Unmeasured:
        """Run the model graph and measure nothing; for models that would have to be probed."""
        outputs = self.graphs["model"].run(inputs.features)
        scores = outputs["scores"]
        outputs["covariance"] = np.zeros((*scores.shape, scores.shape[1]), np.float32)
        return Unmeasured(self, inputs._replace(observe=np.zeros_like(inputs.observe)), outputs, self.thresholds)

    def score(self, features: Floats) -> Floats:
        """Run the model graph for its scores alone; measures nothing."""
        return self.graphs["model"].run(features)["scores"]

    def differentiate(self, features: Floats) -> Floats:
        """(rows, S, D) derivative of the scores with respect to the features in raw units."""
        if self.probe is not None:
            return self.probe.differentiate(features)
        return self.graphs["jacobian"].run(features)["jacobian"]

    def layer_norms(self, features: Floats) -> Floats:
        """(rows, L) Frobenius norm of the derivative after each layer, per noise sigma."""
        return self.graphs["layers" if "layers" in self.graphs else "jacobian"].run(features)["layer_norms"]
