"""Judges models on rows that they were not fitted to: the test's, or those of folds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Baseline, Calibration
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.measures import Diagnosis, take
from chainzrule.service.stability.measures import join as join_measures
from chainzrule.training.columns import Columns
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.split import FEWEST_ROWS, FOLDS, folds
from chainzrule.training.fitting.rivals import RIVALS, fit_rival
from chainzrule.training.measure.calibration import calibration
from chainzrule.training.measure.outputs import (
    Outputs,
    join,
    measured,
    network_scores,
    predict,
    predict_baseline,
    simulation,
)
from chainzrule.training.measure.quality import of_answers, quality
from chainzrule.training.measure.served import as_served
from chainzrule.training.measure.simulation import MAX_ROWS
from chainzrule.training.nn.fitted import FittedModel
from chainzrule.training.nn.folded import fold
from chainzrule.training.novelty.activations import network_of
from chainzrule.training.novelty.novelty import Novelty, fit_novelty

MOST_ROWS = 100_000  # training rows up to which rivals are fitted

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """Holds figures on rows that the models were not fitted to, whose true answers are `y`.

    The measures are as the service gives them; there are none of a baseline, nor is there a calibration.
    """

    quality: dict[str, float]
    outputs: Outputs
    y: NDArray[np.generic]
    parameters: int
    calibration: Calibration | None = None
    measured: Diagnosis | None = None
    surprise: Floats | None = None


class Judging:
    """Judges models by the test's rows where the data set keeps some apart, else by folds of the training rows.

    Every row is judged where rows are few; a fifth of them, by one model, where there are enough for a test.

    Attributes:
        folds: the rows of each fold; empty where there is a test.
    """

    def __init__(self, dataset: Dataset, columns: Columns, seed: int) -> None:
        self._dataset = dataset
        self._columns = columns
        self._seed = seed
        self._link = link_of(dataset.task, dataset.scores)
        self.folds: list[Indices] = []
        if dataset.test is None:
            rows = dataset.train
            self.folds = folds(rows.y, FOLDS, seed, stratified=self._link.has_labels, groups=rows.groups)
            if len(dataset.train) >= FEWEST_ROWS and dataset.layout is None:
                self.folds = self.folds[:1]

    def others(self, number: int) -> tuple[Rows, Columns]:
        """Returns the rows outside a fold, with the statistics of their columns.

        A fold must know nothing of the rows it is judged on, not even their mean or range.
        """
        rows = self._dataset.train
        if not self.folds:
            return rows, self._columns
        found = rows.take(np.setdiff1d(np.arange(len(rows)), self.folds[number]))
        return found, self._columns.of_rows(found.x, found.weights)

    def judged(self) -> list[Rows]:
        """Returns the rows of each fold, or those of the test."""
        if self._dataset.test is not None:
            return [self._dataset.test]
        return [self._dataset.train.take(index) for index in self.folds]

    def network(self, models: Sequence[FittedModel]) -> Evaluation:
        """Returns the figures of a ChainzRule network, of which there is one for each fold or one for the test."""
        parts, simulations, surprises = [], [], []
        for number, (model, rows) in enumerate(zip(models, self.judged(), strict=True)):
            parts.append(predict(model, rows))
            seed = self._seed + (number + 1 if self.folds else 0)
            simulations.append(simulation(model, rows, MAX_ROWS // len(models), seed))
            novelty = self.novelty(model, *self.others(number))
            if novelty is not None:
                surprises.append(novelty.score(rows.x))
        truth = calibration(self._link, simulations, self._seed)
        found = [
            as_served(
                self._link,
                network_scores(model),
                self._columns.drawn,
                truth,
                rows.x,
                part.scores,
                measured(self._link, part),
            )
            for model, rows, part in zip(models, self.judged(), parts, strict=True)
        ]
        order = np.argsort(self._order())
        surprise = np.concatenate(surprises)[order] if surprises else None
        every = take(join_measures(found), order)
        return self._evaluation(models, parts, truth, every, surprise)

    def baseline(self, models: Sequence[FittedModel]) -> Evaluation:
        """Returns the figures of any network, of which there is one for each fold or one for the test."""
        parts = [predict_baseline(model, rows) for model, rows in zip(models, self.judged(), strict=True)]
        return self._evaluation(models, parts)

    def rivals(self) -> list[tuple[Baseline, Floats]]:
        """Returns what people would use instead, with the (rows, S) scores by which it was judged; images have none.

        Nor have tables of so many rows that the rivals would take longer than the network.
        """
        if self._dataset.layout is not None or len(self._dataset.train) > MOST_ROWS:
            return []
        found, judged = [], self.judged()
        for method in RIVALS:
            scores, sizes = [], []
            for number, rows in enumerate(judged):
                others, columns = self.others(number)
                rival, size = fit_rival(
                    method, self._dataset.task, len(self._dataset.labels), others, columns, self._seed
                )
                scores.append(rival(rows.x))
                sizes.append(size)
            joined = np.concatenate(scores)[np.argsort(self._order())]
            figures = of_answers(self._link, self.y, joined)
            found.append((Baseline(method=method, parameters=max(1, *sizes), quality=figures), joined))
        return found

    def novelty(self, model: FittedModel, rows: Rows, columns: Columns) -> Novelty | None:
        """Returns the novelty of a model that was fitted to `rows`."""
        label = rows.y.astype(np.int64) if self._link.has_labels else None
        network = network_of(fold(model), self._dataset.task)
        return fit_novelty(rows.x, label, columns, network, self._seed)

    @property
    def rows(self) -> Rows:
        """Returns all judged rows, in the order in which `Evaluation` has their figures."""
        if self._dataset.test is not None:
            return self._dataset.test
        return self._dataset.train.take(np.sort(self._order()))

    @property
    def y(self) -> NDArray[np.generic]:
        """Returns their true answers."""
        return self.rows.y

    def _order(self) -> Indices:
        if self._dataset.test is not None:
            return np.arange(len(self._dataset.test))
        return np.concatenate(self.folds)

    def _evaluation(
        self,
        models: Sequence[FittedModel],
        parts: Sequence[Outputs],
        truth: Calibration | None = None,
        measured: Diagnosis | None = None,
        surprise: Floats | None = None,
    ) -> Evaluation:
        outputs = join(parts, self._order())
        figures = quality(self._link, self.y, outputs.scores, outputs.input_gradient)
        return Evaluation(figures, outputs, self.y, models[-1].network.parameter_count, truth, measured, surprise)
