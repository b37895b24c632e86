"""Serves a model version: holds its model, the engines that batch its runs, its window and its metrics."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.errors import InvalidInput, NoBounds, QueueFull
from chainzrule.service.runtime.bounds import Bounds, BoundsGraph, Boxes
from chainzrule.service.runtime.model import Model
from chainzrule.service.serving.costs import Costs
from chainzrule.service.serving.engine import Cost, Engine, Limits, Share
from chainzrule.service.serving.record import Record
from chainzrule.service.serving.runs import Runs, join
from chainzrule.service.stability.answers import AnswerWatch
from chainzrule.service.stability.constraints import Constraints, Declared
from chainzrule.service.stability.outputs import Inputs
from chainzrule.service.stability.predictions import Measured, Predictions
from chainzrule.service.stability.unmeasured import Unmeasured
from chainzrule.service.stability.window import Window
from chainzrule.service.telemetry.live import LoadedReading
from chainzrule.service.telemetry.statistics import Statistics
from chainzrule.service.telemetry.version import VersionMetrics

Matrix = NDArray[np.float32]
Answered = TypeVar("Answered", bound=Predictions)

BOX_VALUES = 2**12  # the most input values in one run of the bounds graph, which takes a thousand times their memory


class ServedModel:
    """Answers for one model version. It is made and used on the event loop.

    Attributes:
        card: the version's model card.
        model: its open graphs.
        costs: how long its runs take.
        window: its latest observed rows.
        constraints: the effects that its card declares.
        statistics: the sums of its requests and runs so far.
        loaded_at: the Unix time at which it became ready.
        nodes: the number of nodes with which attributions add up; None until somebody has asked for some.
    """

    def __init__(
        self,
        card: ModelCard,
        model: Model,
        runs: Runs,
        bounds: BoundsGraph | None,
        costs: Costs,
        limits: Limits,
        window: Window,
        metrics: VersionMetrics,
        unstable_share: float | None,
        novel_share: float | None = None,
        answers: AnswerWatch | None = None,
    ) -> None:
        """Sets up the engines.

        Args:
            card: the version's model card.
            model: its open graphs.
            runs: runs and measures rows.
            bounds: runs its bounds graph; None where it has none.
            costs: how long its runs take.
            limits: the limits of its engines.
            window: keeps its latest observed rows.
            metrics: counts its rows.
            unstable_share: the share of the card's held-out rows that are unstable; None where it is unknown.
            novel_share: the share of them that are novel; None where none can be.
            answers: counts its answers; None where the card does not say what it answered to held-out rows.
        """
        self.card = card
        self.model = model
        self.costs = costs
        self.window = window
        self.constraints = Constraints(card)
        self.statistics = Statistics()
        self.loaded_at = time.time()
        self.nodes: int | None = None
        self._metrics = metrics
        self._unstable_share = unstable_share
        self._novel_share = novel_share
        self._watched = answers
        metrics.count_violations(dict.fromkeys((declared.feature for declared in self.constraints.declared), 0))
        # The engine has no reference to this object, so that without a cycle it is freed after its last request.
        record = self._record = Record(self.statistics, window, metrics, answers)
        self._answers: Engine[Inputs, Unmeasured] | None = None
        batches = limits
        if model.probe is not None:
            self._answers = Engine(runs.answer, join, costs.answer, limits, record)
            # The limit of a batch is for all rows that are run, including the further ones.
            batches = replace(limits, max_batch_rows=max(1, limits.max_batch_rows // (1 + model.probe.rows)))
        self._predictions: Engine[Inputs, Measured] = Engine(runs.predict, join, costs.predict, batches, record)
        self._derivatives = _matrices(model.differentiate, costs.differentiate, batches)
        self._layers: Engine[Matrix, Matrix] | None = None
        if costs.layer_norms is not None:
            self._layers = _matrices(model.layer_norms, costs.layer_norms, batches)
        # Draws never run on the event loop, however small the batch: their many batches would delay other requests.
        self._samples = _matrices(model.score, costs.score, replace(batches, inline_seconds=0.0))
        self._bounds: Engine[Boxes, Bounds] | None = None
        if bounds is not None:
            self._bounds = Engine(
                bounds.run,
                _join_boxes,
                Cost(1.0, 0.0),  # unknown until the graph is opened; not needed, as it never runs inline
                replace(batches, inline_seconds=0.0, max_batch_rows=max(1, BOX_VALUES // card.width)),
                _enter_nothing,
            )

    def retire(self) -> None:
        """Removes the version's metrics. Requests in progress are still answered, and keep what they need."""
        self._metrics.remove()

    def require_room(self, rows: int, measured: bool) -> None:
        """Raises `QueueFull` where so many rows may not wait, before they are encoded."""
        try:
            self._engine(measured).require_room(rows)
        except QueueFull:
            self.statistics.failed(0.0)
            raise

    # These two hand the coroutine on, because awaiting it here would cost every small request another one.
    def predict(self, inputs: Inputs, deadline: float) -> Awaitable[Share[Measured]]:
        """Returns measured predictions of rows; `deadline` is by the event loop's clock."""
        return self._submit(self._predictions, inputs, deadline)

    def answer(self, inputs: Inputs, deadline: float) -> Awaitable[Share[Unmeasured] | Share[Measured]]:
        """Returns predictions of rows, measured only where that takes no further runs."""
        if self._answers is None:
            return self.predict(inputs, deadline)
        return self._submit(self._answers, inputs, deadline)

    async def differentiate(self, features: Matrix, deadline: float) -> NDArray[np.float32]:
        """Returns the (rows, S, D) Jacobian of the scores in raw units."""
        return await _rows(self._derivatives, features, deadline)

    async def layer_norms(self, features: Matrix, deadline: float) -> Matrix:
        """Returns the (rows, L) norm of the derivative after each layer, per noise sigma."""
        if self._layers is None:
            raise InvalidInput("layers are not known of this model", "include")
        return await _rows(self._layers, features, deadline)

    async def sample(self, features: Matrix, deadline: float) -> Matrix:
        """Returns the (rows, S) scores of drawn rows, which are neither measured nor recorded."""
        return await _rows(self._samples, features, deadline)

    async def bound(self, boxes: Boxes, deadline: float) -> Bounds:
        """Returns bounds of the scores in boxes; raises `NoBounds` where the version has no bounds graph."""
        share = await self.require_bounds().submit(boxes, len(boxes.low), deadline)
        return Bounds(*(part[share.start : share.stop] for part in share.result))

    def require_bounds(self) -> Engine[Boxes, Bounds]:
        """Returns the engine that runs the bounds graph; raises `NoBounds` where the version has none."""
        if self._bounds is None:
            raise NoBounds(
                "this model version has no bounds graph: it is an older export, or too steep a network; fit it again"
            )
        return self._bounds

    def violations(self, jacobian: NDArray[np.float32]) -> list[list[Declared]]:
        """Returns each row's violated constraints, given the derivatives, (rows, S, D), and counts them."""
        declared = self.constraints.declared
        violated = self.constraints.violated(jacobian)
        self._metrics.count_violations(
            {one.feature: int(rows) for one, rows in zip(declared, violated.sum(axis=0), strict=True)}
        )
        return [[one for one, broken in zip(declared, row, strict=True) if broken] for row in violated.tolist()]

    def observe(self, predictions: Predictions) -> None:
        """Records rows that were measured after their run."""
        self._record.observe(predictions)

    def count_decisions(self, rows: Mapping[str, int]) -> None:
        """Counts rows by what a policy decided about them."""
        self._metrics.count_decisions(rows)

    @property
    def queue_depth(self) -> int:
        """Returns how many requests wait for this version."""
        engines = (self._predictions, self._answers, self._derivatives, self._layers, self._samples, self._bounds)
        return sum(engine.depth for engine in engines if engine is not None)

    def reading(self) -> LoadedReading:
        """Returns what a scrape reads of the version."""
        card = self.card
        info = {
            "sha256": card.graphs["model"].sha256,
            "task": card.task,
            "method": card.method,
            "provider": self.model.execution.provider,
        }
        return LoadedReading(
            info, self.loaded_at, self.window, card.reference, self._unstable_share, self._novel_share, self._watched
        )

    def _engine(self, measured: bool) -> Engine[Inputs, Measured] | Engine[Inputs, Unmeasured]:
        return self._predictions if measured or self._answers is None else self._answers

    async def _submit(self, engine: Engine[Inputs, Answered], inputs: Inputs, deadline: float) -> Share[Answered]:
        begin = time.perf_counter()
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


def _matrices(run: Callable[[Matrix], Matrix], cost: Cost, limits: Limits) -> Engine[Matrix, Matrix]:
    return Engine(run, np.concatenate, cost, limits, _enter_nothing)


async def _rows(engine: Engine[Matrix, Matrix], features: Matrix, deadline: float) -> Matrix:
    share = await engine.submit(features, len(features), deadline)
    return share.result[share.start : share.stop]


def _join_boxes(parts: Sequence[Boxes]) -> Boxes:
    return Boxes(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def _enter_nothing(result: object, rows: int, seconds: float) -> None:
    """Records nothing, because only predictions count as traffic."""
