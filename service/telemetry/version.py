"""Counts the runs and rows of one model version, in metrics whose labels are looked up once."""

from collections.abc import Mapping

from chainzrule.service.stability.measures import Diagnosis
from chainzrule.service.stability.observed import Observed
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import VERDICTS
from chainzrule.service.telemetry.histogram import Bins
from chainzrule.service.telemetry.metrics import Metrics


class VersionMetrics:
    """Holds the metrics of one model version."""

    def __init__(self, metrics: Metrics, model: str, version: str, standard: Standard) -> None:
        """Looks up the version's series.

        Args:
            metrics: the application's metrics.
            model: the model's name.
            version: the version's number.
            standard: gives the measures that the version has, and the reference that they are compared with.
        """
        self._metrics = metrics
        self._labels = labels = (model, version)
        self._values: list[tuple[int, Bins]] = []
        self._relative: list[tuple[int, float, Bins]] = []
        for measure in standard.measures:
            field, families = Diagnosis._fields.index(measure.name), metrics.measures[measure.name]
            if families.values is not None:
                self._values.append((field, families.values.labels(*labels)))
            if families.relative is not None:
                mean = getattr(standard.reference, measure.name).mean
                if mean > 0:
                    self._relative.append((field, mean, families.relative.labels(*labels)))
        self._predictions = {verdict: metrics.predictions.labels(*labels, verdict) for verdict in VERDICTS}
        self._nonfinite = metrics.nonfinite.labels(*labels)
        self._outside = metrics.outside.labels(*labels)
        self._novel = metrics.novel.labels(*labels)
        self._close_calls = metrics.close_calls.labels(*labels)
        self._inference_seconds = metrics.inference_seconds.labels(*labels)
        self._batch_rows = metrics.batch_rows.labels(*labels)
        self._removed = False

    def remove(self) -> None:
        """Removes the version's series; what requests in progress still count is lost."""
        self._removed = True
        self._metrics.forget(self._labels)

    def count_run(self, rows: int, seconds: float, nonfinite: int) -> None:
        """Counts one run of so many rows, of which `nonfinite` had an output that was not finite."""
        self._inference_seconds.observe(seconds)
        self._batch_rows.observe(float(rows))
        if nonfinite:
            self._nonfinite.inc(nonfinite)

    def count_rows(self, observed: Observed) -> None:
        """Counts observed rows."""
        diagnosis = observed.diagnosis
        for field, bins in self._values:
            bins.observe(diagnosis[field])
        for field, mean, bins in self._relative:
            bins.observe(diagnosis[field] / mean)
        for verdict, rows in observed.verdicts.items():
            if rows:
                self._predictions[verdict].inc(rows)
        if observed.outside_rows:
            self._outside.inc(observed.outside_rows)
        if observed.novel_rows:
            self._novel.inc(observed.novel_rows)
        if observed.close_rows:
            self._close_calls.inc(observed.close_rows)
        if not self._removed:  # looking up labels would create the series again
            for feature, rows in observed.out_of_range.items():
                self._metrics.out_of_range.labels(*self._labels, feature).inc(rows)

    def count_decisions(self, rows: Mapping[str, int]) -> None:
        """Counts rows by what a policy decided about them."""
        if self._removed:
            return
        for action, count in rows.items():
            self._metrics.decisions.labels(*self._labels, action).inc(count)

    def count_violations(self, rows: Mapping[str, int]) -> None:
        """Counts by feature the explained rows that violate its declared effect; a 0 makes the series appear."""
        if self._removed:
            return
        for feature, count in rows.items():
            self._metrics.violations.labels(*self._labels, feature).inc(count)
