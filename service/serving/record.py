"""Records every run in the version's statistics, its rolling window and its metrics."""

import numpy as np

from chainzrule.service.stability.answers import AnswerWatch
from chainzrule.service.stability.predictions import Predictions
from chainzrule.service.stability.window import Window
from chainzrule.service.telemetry.statistics import Statistics
from chainzrule.service.telemetry.version import VersionMetrics


class Record:
    """Records the runs of one model version."""

    def __init__(
        self, statistics: Statistics, window: Window, metrics: VersionMetrics, answers: AnswerWatch | None = None
    ) -> None:
        """Sets where runs are entered; without `answers`, answers are compared with nothing."""
        self._statistics = statistics
        self._window = window
        self._metrics = metrics
        self._answers = answers

    def __call__(self, predictions: Predictions, rows: int, seconds: float) -> None:
        """Records one run of so many rows, which took so many seconds."""
        self._statistics.ran(rows, seconds)
        nonfinite = 0 if predictions.all_finite else rows - int(np.count_nonzero(predictions.finite))
        self._metrics.count_run(rows, seconds, nonfinite)
        self.observe(predictions)

    def observe(self, predictions: Predictions) -> None:
        """Records the rows that count as traffic, without a run."""
        observed = predictions.observed()
        if observed is not None:
            diagnosis = observed.diagnosis
            self._window.add(
                diagnosis.volatility, diagnosis.gradient_norm, observed.level, observed.outside, observed.novel
            )
            if self._answers is not None:
                self._answers.add(diagnosis.label, observed.probability, diagnosis.value, observed.rows)
            self._metrics.count_rows(observed)
