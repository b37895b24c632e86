"""What is counted for one version: a lone row as a batch's rows, and nothing once the version is gone."""

from dataclasses import replace

import numpy as np
import pytest

from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.observed import Observed
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import VERDICTS, Thresholds
from chainzrule.service.telemetry.metrics import Metrics
from chainzrule.service.telemetry.version import VersionMetrics
from tests.artifacts import CLASSIFIER, FAMILIAR, MIXED, REGRESSION, SILENT, Toy
from tests.runs import runs_of


class Counted:
    """A version's metrics, and what a scrape reads of them."""

    def __init__(self, toy: Toy, metrics: Metrics | None = None, version: str = "1") -> None:
        card, self.toy, self.version = toy.card(), toy, version
        self.metrics = metrics or Metrics()
        standard = Standard(link_of(card.task, card.scores), RowEncoder(card).ranges, card.reference, Thresholds())
        self.counts = VersionMetrics(self.metrics, toy.name, version, standard)

    def value(self, name: str, **labels: str) -> float | None:
        labels = {"model": self.toy.name, "version": self.version, **labels}
        return self.metrics.registry.get_sample_value(f"chainzrule_{name}", labels)

    def series(self) -> list[str]:
        lines = self.metrics.registry.snapshot().text("")[0].decode().splitlines()
        return [line for line in lines if f'model="{self.toy.name}",version="{self.version}"' in line]


def observed(toy: Toy, rows: np.ndarray) -> Observed:
    found = runs_of(toy).predict(inputs_of(rows.astype(np.float32), 1.0, observe=True)).observed()
    assert found is not None
    return found


@pytest.mark.parametrize("toy", [CLASSIFIER, REGRESSION], ids=lambda toy: toy.name)
def test_a_lone_row_and_a_batch_enter_the_same_series(toy: Toy) -> None:
    rows = toy.rows(3)
    together, apart = Counted(toy), Counted(toy)
    together.counts.count_rows(observed(toy, rows))
    for row in rows:
        apart.counts.count_rows(observed(toy, row[None]))
    lines = [[line.rsplit(" ", 1) for line in one.series()] for one in (together, apart)]
    assert [name for name, _ in lines[0]] == [name for name, _ in lines[1]]
    for (name, batch), (_, alone) in zip(*lines, strict=True):
        assert float(alone) == pytest.approx(float(batch), rel=1e-6), name


@pytest.mark.parametrize("count", [1, 3])
def test_every_measure_of_a_row_enters_its_distribution(count: int) -> None:
    counted, rows = Counted(CLASSIFIER), CLASSIFIER.rows(count)
    found = observed(CLASSIFIER, rows)
    counted.counts.count_rows(found)
    for name, field in (
        ("input_gradient_norm", "gradient_norm"),
        ("prediction_volatility", "volatility"),
        ("prediction_flip_probability", "flip_probability"),
    ):
        assert counted.value(f"{name}_count") == count, name
        assert counted.value(f"{name}_sum") == pytest.approx(np.sum(getattr(found.diagnosis, field))), name
    mean = CLASSIFIER.card().reference.volatility.mean
    relative = np.sum(found.diagnosis.volatility) / mean
    assert counted.value("prediction_volatility_relative_sum") == pytest.approx(relative)
    norms = np.linalg.norm(CLASSIFIER.jacobian(rows) * CLASSIFIER.columns[2], axis=(1, 2))
    assert counted.value("input_gradient_norm_sum") == pytest.approx(norms.sum(), rel=1e-4)


def test_a_task_has_the_distributions_of_its_measures_alone() -> None:
    regression, silent = Counted(REGRESSION), Counted(SILENT)
    for counted, toy in ((regression, REGRESSION), (silent, SILENT)):
        counted.counts.count_rows(observed(toy, toy.rows(2)))
    assert not any("prediction_flip_probability" in line for line in regression.series())
    assert any("prediction_flip_probability" in line for line in silent.series())
    assert any("prediction_volatility_relative" in line for line in regression.series())
    # A reference without any volatility is nothing to divide by.
    assert not any("prediction_volatility_relative" in line for line in silent.series())


@pytest.mark.parametrize("count", [1, 2])
def test_verdicts_and_rows_out_of_range_are_counted(count: int) -> None:
    counted = Counted(MIXED)
    found = observed(MIXED, np.repeat([[11.0, 1, 0, 0, -11.0, 1, 0]], count, axis=0))
    counted.counts.count_rows(found)
    verdict = VERDICTS[int(np.atleast_1d(found.level)[0])]
    for name in VERDICTS:
        assert (counted.value("predictions_total", verdict=name) or 0) == (count if name == verdict else 0)
    assert counted.value("out_of_range_rows_total") == count
    for feature in ("age", "dose"):
        assert counted.value("out_of_range_features_total", feature=feature) == count
    counted.counts.count_rows(observed(MIXED, MIXED.rows(count)))
    assert counted.value("out_of_range_rows_total") == count


@pytest.mark.parametrize("count", [1, 2])
def test_novel_rows_are_counted(count: int) -> None:
    counted = Counted(FAMILIAR)
    assert counted.value("novel_rows_total") == 0
    counted.counts.count_rows(observed(FAMILIAR, np.repeat([[9.0, 5.0]], count, axis=0)))
    counted.counts.count_rows(observed(FAMILIAR, FAMILIAR.rows(count)))
    assert counted.value("novel_rows_total") == count
    assert counted.value("out_of_range_rows_total") == 0


@pytest.mark.parametrize("count", [1, 2])
def test_close_calls_are_counted(count: int) -> None:
    known = CLASSIFIER.card().conformity
    assert known is not None
    never, always = (
        replace(CLASSIFIER, changes={"conformity": known.model_copy(update={"temperature": heat})})
        for heat in (1e-6, 1e6)
    )
    counted = Counted(CLASSIFIER)
    counted.counts.count_rows(observed(never, CLASSIFIER.rows(count)))
    assert counted.value("close_calls_total") == 0
    counted.counts.count_rows(observed(always, CLASSIFIER.rows(count)))
    assert counted.value("close_calls_total") == count


def test_a_run_is_counted_with_its_rows_and_its_time() -> None:
    counted = Counted(CLASSIFIER)
    counted.counts.count_run(5, 0.5, 0)
    counted.counts.count_run(3, 0.25, 2)
    assert (counted.value("batch_rows_count"), counted.value("batch_rows_sum")) == (2, 8)
    assert counted.value("inference_duration_seconds_sum") == 0.75
    assert counted.value("nonfinite_outputs_total") == 2


def test_a_watched_effect_shows_before_it_is_broken() -> None:
    counted = Counted(CLASSIFIER)
    counted.counts.count_violations({"height": 0, "weight": 2})
    assert any('feature="height"' in line for line in counted.series())
    assert counted.value("constraint_violations_total", feature="weight") == 2


def test_a_removed_version_stays_away() -> None:
    gone = Counted(MIXED)
    other = Counted(MIXED, gone.metrics, version="2")
    outside = np.array([[11.0, 1, 0, 0, -11.0, 1, 0]])
    for one in (gone, other):
        one.counts.count_rows(observed(MIXED, outside))
        one.counts.count_violations({"age": 1})
    kept = other.series()
    gone.counts.remove()
    assert gone.series() == []
    # Requests that are still under way bring nothing back.
    for rows in (outside, np.repeat(outside, 2, axis=0)):
        gone.counts.count_rows(observed(MIXED, rows))
    gone.counts.count_run(1, 0.1, 1)
    gone.counts.count_violations({"age": 1})
    assert gone.series() == []
    assert other.series() == kept
