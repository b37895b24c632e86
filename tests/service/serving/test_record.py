"""What is entered of a run: every run in the statistics, and its observed rows alone in window and metrics."""

import numpy as np
import pytest

from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.record import Record
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import Thresholds
from chainzrule.service.stability.window import Window
from chainzrule.service.telemetry.metrics import Metrics
from chainzrule.service.telemetry.statistics import Statistics
from chainzrule.service.telemetry.version import VersionMetrics
from tests.artifacts import CUBIC
from tests.runs import runs_of

BAD = np.array([[1e20, 0.0]], np.float32)  # whose cube is no float32


class Entered:
    """A version's record with all that it writes to."""

    def __init__(self) -> None:
        card = CUBIC.card()
        link, ranges = link_of(card.task, card.scores), RowEncoder(card).ranges
        self.metrics, self.statistics = Metrics(), Statistics()
        self.window = Window(100, 1, card.reference)
        version = VersionMetrics(self.metrics, "bent", "1", Standard(link, ranges, card.reference, Thresholds()))
        self.record = Record(self.statistics, self.window, version)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"chainzrule_{name}", {"model": "bent", "version": "1", **labels})


def run(rows: np.ndarray, observe: bool = True) -> Measured:
    return runs_of(CUBIC).predict(inputs_of(rows.astype(np.float32), 1.0, observe))


def test_a_batch_enters_its_run_and_its_finite_rows() -> None:
    entered, rows = Entered(), np.concatenate([CUBIC.rows(3), BAD])
    predictions = run(rows)
    entered.record(predictions, 4, 0.25)
    assert entered.statistics.executions == 1
    assert [one["batch_size"] for one in entered.statistics.describe()["batch_stats"]] == [4]
    assert entered.value("inference_duration_seconds_sum") == 0.25
    assert entered.value("batch_rows_sum") == 4
    assert entered.value("nonfinite_outputs_total") == 1
    assert entered.window.samples == entered.value("input_gradient_norm_count") == 3
    summary = entered.window.summary()
    assert summary.volatility_quantiles["p50"] == pytest.approx(np.median(predictions.diagnosis.volatility[:3]))


def test_a_lone_row_enters_as_one_of_a_batch_does() -> None:
    alone, batch, row = Entered(), Entered(), np.array([[11.0, -1.0]])  # out of range
    alone.record(run(row), 1, 0.25)
    batch.record(run(np.repeat(row, 2, axis=0)), 2, 0.25)
    one, two = alone.window.summary(), batch.window.summary()
    assert (one.samples, two.samples) == (1, 2)
    assert one.volatility_quantiles == pytest.approx(two.volatility_quantiles)
    assert one.volatility_reference_ratio == pytest.approx(two.volatility_reference_ratio)
    assert one.out_of_range_rate == two.out_of_range_rate == 1.0
    assert {name: 2 * rows for name, rows in one.verdicts.items()} == two.verdicts
    for name in ("out_of_range_rows_total", "input_gradient_norm_sum", "prediction_volatility_sum"):
        assert alone.value(name), name
        assert 2 * (alone.value(name) or 0.0) == pytest.approx(batch.value(name), rel=1e-6, abs=0.0), name


@pytest.mark.parametrize("count", [1, 3])
def test_rows_that_are_not_observed_enter_their_run_alone(count: int) -> None:
    entered = Entered()
    entered.record(run(CUBIC.rows(count), observe=False), count, 0.25)
    assert entered.statistics.executions == 1
    assert entered.value("batch_rows_sum") == count
    assert entered.value("nonfinite_outputs_total") == 0
    assert entered.window.samples == 0
    assert entered.value("input_gradient_norm_count") is None  # an empty histogram is not exported


def test_a_lone_row_that_is_not_finite_is_counted_and_kept_out() -> None:
    entered = Entered()
    entered.record(run(BAD), 1, 0.25)
    assert entered.value("nonfinite_outputs_total") == 1
    assert entered.window.samples == 0
    assert entered.value("input_gradient_norm_count") is None  # an empty histogram is not exported
