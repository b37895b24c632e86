"""A model version in service: its model, the engines that batch its runs, its window and its metrics."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.errors import InvalidInput, NoBounds, QueueFull
from chainzrule.service.runtime.bounds import Bounds, Boxes
from chainzrule.service.runtime.model import Inputs, LoneRow, Model, Predictions
from chainzrule.service.runtime.selfcheck import golden_features
from chainzrule.service.serving.engine import Cost, Engine, Limits, Share, measure_cost
from chainzrule.service.stability.constraints import Constraints, Declared
from chainzrule.service.stability.verdict import VERDICTS, reference_unstable_share
from chainzrule.service.stability.window import Window
from chainzrule.service.telemetry.metrics import ReferenceReading, RowReadings, VersionMetrics, VersionReading
from chainzrule.service.telemetry.statistics import Statistics

Matrix = NDArray[np.float32]

BOX_VALUES = 2**12  # of boxes that are bounded in one run, whose memory is some thousand times as large


class Costs:
    """What the model's runs take on this machine, measured while it warms up."""

    def __init__(self, model: Model) -> None:
        golden = golden_features(model.card)

        def rows(count: int) -> Matrix:
            return np.resize(golden, (count, golden.shape[1]))

        self.score: Cost = measure_cost(lambda count: model.score(rows(count)))
        if model.probe is not None:  # some runs of one row and of two tell enough, where each is many
            self.answer: Cost = measure_cost(lambda count: model.answer(_unobserved(rows(count))).answers)
            self.predict: Cost = measure_cost(lambda count: model.predict(_unobserved(rows(count))), rows=2, repeats=2)
            self.differentiate: Cost = self.predict
            return
        self.predict = self.answer = measure_cost(lambda count: model.predict(_unobserved(rows(count))).answers)
        self.differentiate = measure_cost(lambda count: model.differentiate(rows(count)), rows=16)
        self.layer_norms: Cost = measure_cost(lambda count: model.layer_norms(rows(count)), rows=16)


class Record:
    """Enters a version's runs in its statistics, its window and its metrics."""

    def __init__(self, model: Model, statistics: Statistics, window: Window, metrics: VersionMetrics) -> None:
        self._card = model.card
        self._mean = model.card.reference.volatility.mean
        self._numeric = model.rows.numeric
        self._statistics = statistics
        self._window = window
        self._metrics = metrics

    def __call__(self, batch: Predictions, rows: int, seconds: float) -> None:
        """Enter one run of so many rows."""
        self._statistics.ran(rows, seconds)
        self._metrics.count_batch(rows, seconds)
        if not batch.all_finite:
            self._metrics.nonfinite.inc(rows - int(np.count_nonzero(batch.finite)))
        if batch.lone is not None:
            if batch.all_finite and batch.inputs.observe[0]:
                self._enter_row(batch, batch.lone)
            return
        counted = batch.inputs.observe & batch.finite
        count = np.count_nonzero(counted)
        if count == 0:
            return
        observed = slice(None) if count == rows else counted  # all of them as views
        diagnosis = batch.diagnosis
        volatility = diagnosis.volatility[observed]
        gradient_norm = diagnosis.gradient_norm[observed]
        level = batch.verdicts.level[observed]
        outside = batch.is_outside[observed]
        self._window.add(volatility, gradient_norm, level, outside)
        self._metrics.count_rows(
            RowReadings(
                volatility=volatility,
                relative=volatility / self._mean if self._mean > 0 else None,
                flip_probability=None if self._card.task == "regression" else diagnosis.flip_probability[observed],
                gradient_norm=gradient_norm,
                verdicts=dict(zip(VERDICTS, np.bincount(level, minlength=3).tolist(), strict=True)),
                out_of_range=self._features_outside(batch.outside[observed]) if outside.any() else {},
                outside=int(np.count_nonzero(outside)),
            )
        )

    def _enter_row(self, batch: Predictions, row: LoneRow) -> None:
        measures, verdict = row.measures, row.verdict
        self._window.add_row(measures.volatility, measures.gradient_norm, verdict.level, verdict.outside)
        self._metrics.count_row(
            volatility=measures.volatility,
            relative=measures.volatility / self._mean if self._mean > 0 else None,
            flip_probability=measures.flip_probability,
            gradient_norm=measures.gradient_norm,
            verdict=VERDICTS[verdict.level],
            out_of_range=self._features_outside(batch.outside) if verdict.outside else {},
            outside=verdict.outside,
        )

    def _features_outside(self, outside: NDArray[np.bool_]) -> dict[str, int]:
        if self._card.layout is not None:
            return {}
        counts = outside.sum(axis=0).tolist()
        return {name: rows for name, rows in zip(self._numeric, counts, strict=True) if rows}


class ServedModel:
    """Answers for one model version. Made and used on the event loop."""

    def __init__(self, model: Model, costs: Costs, limits: Limits, window: Window, metrics: VersionMetrics) -> None:
        self.model = model
        self.card = model.card
        self.window = window
        self.loaded_at = time.time()
        self.statistics = Statistics()
        self._metrics = metrics
        self._reference = reference_reading(model)
        self.constraints = Constraints(model.card)
        metrics.count_violations(dict.fromkeys((declared.feature for declared in self.constraints.declared), 0))
        # The engine does not know this object: without a cycle it goes as soon as the last request has let go of it.
        record = Record(model, self.statistics, window, metrics)
        self._answers: Engine[Inputs, Predictions] | None = None
        if model.probe is not None:
            self._answers = Engine(model.answer, _join_inputs, costs.answer, limits, record)
            # A batch is bounded by what is really run.
            limits = replace(limits, max_batch_rows=max(1, limits.max_batch_rows // (1 + model.probe.rows)))
        self._predictions: Engine[Inputs, Predictions] = Engine(
            model.predict, _join_inputs, costs.predict, limits, record
        )
        self._derivatives: Engine[Matrix, Matrix] = Engine(
            model.differentiate, np.concatenate, costs.differentiate, limits, lambda result, rows, seconds: None
        )
        self._layers: Engine[Matrix, Matrix] | None = None
        if model.probe is None:
            self._layers = Engine(
                model.layer_norms, np.concatenate, costs.layer_norms, limits, lambda result, rows, seconds: None
            )
        # Never on the event loop, however small the batch: there are many of them, and others wait.
        self._samples: Engine[Matrix, Matrix] = Engine(
            model.score,
            np.concatenate,
            costs.score,
            replace(limits, inline_seconds=0.0),
            lambda result, rows, seconds: None,
        )
        self.sampling_cost = costs.score
        self.measuring_cost = costs.predict
        self._bounds: Engine[Boxes, Bounds] | None = None
        if model.bounds is not None:
            self._bounds = Engine(
                model.bounds.run,
                _join_boxes,
                Cost(1.0, 0.0),  # unknown until it is opened, and never on the event loop
                replace(limits, inline_seconds=0.0, max_batch_rows=max(1, BOX_VALUES // model.card.width)),
                lambda result, rows, seconds: None,
            )

    def retire(self) -> None:
        """Leave the exposition. Requests under way are answered, and hold what they need until then."""
        self._metrics.remove()

    def require_room(self, rows: int, measure: bool = True) -> None:
        """Refuse so many rows where no more may wait, before anything is made of them; raises `QueueFull`."""
        try:
            self._engine(measure).require_room(rows)
        except QueueFull:
            self.statistics.failed(0.0)
            raise

    def _engine(self, measure: bool) -> Engine[Inputs, Predictions]:
        return self._predictions if measure or self._answers is None else self._answers

    async def predict(self, inputs: Inputs, deadline: float, measure: bool = True) -> Share[Predictions]:
        """Predict and measure rows; `deadline` is by the event loop's clock.

        `measure` false leaves the stability out where it would take further runs.
        """
        begin = time.perf_counter()
        engine = self._engine(measure)
        try:
            share = await engine.submit(inputs, len(inputs.features), deadline)
        except BaseException:
            self.statistics.failed(time.perf_counter() - begin)
            raise
        seconds = time.perf_counter() - begin
        batch = share.result
        if batch.all_finite or batch.finite[share.start : share.stop].all():
            self.statistics.succeeded(share.stop - share.start, seconds, share.seconds)
        else:
            self.statistics.failed(seconds)
        return share

    async def differentiate(self, features: Matrix, deadline: float) -> Matrix:
        """(rows, S, D) the scores' Jacobian in raw units."""
        share = await self._derivatives.submit(features, len(features), deadline)
        return share.result[share.start : share.stop]

    async def layer_norms(self, features: Matrix, deadline: float) -> Matrix:
        """(rows, L) the derivative's norm after each layer, per noise sigma."""
        if self._layers is None:
            raise InvalidInput("layers are not known of this model", "include")
        share = await self._layers.submit(features, len(features), deadline)
        return share.result[share.start : share.stop]

    def violations(self, jacobian: NDArray[np.float32]) -> list[list[Declared]]:
        """Each row's broken constraints, counted; (rows, S, D) its derivatives."""
        declared = self.constraints.declared
        violated = self.constraints.violated(jacobian)
        self._metrics.count_violations(
            {one.feature: int(rows) for one, rows in zip(declared, violated.sum(axis=0), strict=True)}
        )
        return [[one for one, broken in zip(declared, row, strict=True) if broken] for row in violated.tolist()]

    async def sample(self, features: Matrix, deadline: float) -> Matrix:
        """(rows, S) the scores of drawn rows; measured, judged and entered nowhere."""
        share = await self._samples.submit(features, len(features), deadline)
        return share.result[share.start : share.stop]

    async def bound(self, boxes: Boxes, deadline: float) -> Bounds:
        """What the scores can come to in boxes; raises as `require_bounds`."""
        share = await self.require_bounds().submit(boxes, len(boxes.low), deadline)
        return Bounds(*(part[share.start : share.stop] for part in share.result))

    def require_bounds(self) -> Engine[Boxes, Bounds]:
        """What runs the bounds graph.

        Raises:
            NoBounds: the version has none.
        """
        if self._bounds is None:
            raise NoBounds(
                "this model version has no bounds graph: it is an older export, or too steep a network; fit it again"
            )
        return self._bounds

    @property
    def queue_depth(self) -> int:
        """Requests that wait for this version."""
        engines = (self._predictions, self._answers, self._derivatives, self._layers, self._samples, self._bounds)
        return sum(engine.depth for engine in engines if engine is not None)

    def reading(self) -> VersionReading:
        """The version's live metrics."""
        card = self.card
        return VersionReading(
            model=card.name,
            version=card.version,
            state="READY",
            info={
                "sha256": card.graphs["model"].sha256,
                "task": card.task,
                "method": card.method,
                "provider": self.model.execution.provider,
            },
            loaded_timestamp=self.loaded_at,
            window_samples=self.window.samples,
            gradient_tail_ratio=self.window.gradient_tail_ratio(),
            volatility_reference_ratio=self.window.volatility_reference_ratio(),
            reference=self._reference,
        )


def reference_reading(model: Model) -> ReferenceReading:
    """The card's reference as it is exported; the share of unstable rows is by the service's thresholds."""
    reference = model.card.reference
    return ReferenceReading(
        volatility={str(percent): reference.volatility.quantiles[percent] for percent in (50, 90, 99)},
        gradient_tail_ratio=reference.gradient_tail_ratio,
        out_of_range_ratio=reference.out_of_range_rate,
        unstable_ratio=reference_unstable_share(model.card.task, reference, model.thresholds),
    )


def inputs_of(features: Matrix, noise_scale: float, observe: bool) -> Inputs:
    """Rows that share one noise scale, as a request's do. Rows at another scale than 1 are never observed."""
    return Inputs(features, *_conditions(len(features), noise_scale, observe and noise_scale == 1.0))


@lru_cache(maxsize=64)
def _conditions(rows: int, noise_scale: float, observe: bool) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    conditions = np.full(rows, noise_scale), np.full(rows, observe)
    for shared in conditions:
        shared.flags.writeable = False
    return conditions


def _unobserved(features: Matrix) -> Inputs:
    return inputs_of(features, noise_scale=1.0, observe=False)


def _join_inputs(parts: Sequence[Inputs]) -> Inputs:
    return Inputs(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def _join_boxes(parts: Sequence[Boxes]) -> Boxes:
    return Boxes(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))
