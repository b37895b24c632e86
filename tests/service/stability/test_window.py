"""The rolling window: a ring of the latest rows."""

import numpy as np
import pytest

from chainzrule.service.artifact.evidence import Distribution, Reference
from chainzrule.service.stability.window import Window


def reference(mean: float = 2.0) -> Reference:
    distribution = Distribution(mean=mean, quantiles=(mean,) * 101)
    return Reference(
        rows=10,
        out_of_fold=False,
        volatility=distribution,
        gradient_norm=distribution,
        gradient_tail_ratio=1.0,
        out_of_range_rate=0.0,
    )


def add(window: Window, values: list[float], level: int = 0, outside: bool = False, novel: bool = False) -> None:
    if len(values) == 1:
        window.add(values[0], 10 * values[0], level, outside, novel)
        return
    rows = np.array(values, dtype=float)
    window.add(rows, 10 * rows, np.full(len(rows), level), np.full(len(rows), outside), np.full(len(rows), novel))


def contents(window: Window) -> dict[str, float]:
    return window.summary().volatility_quantiles


def test_an_empty_window_says_so() -> None:
    summary = Window(5, 2, reference()).summary()
    assert summary.samples == 0
    assert summary.gradient_tail_ratio is None
    assert summary.volatility_reference_ratio is None
    assert summary.volatility_quantiles == {}
    assert summary.out_of_range_rate is None
    assert summary.novel_rate is None
    assert summary.verdicts == {"stable": 0, "elevated": 0, "unstable": 0}


def test_the_oldest_rows_make_room() -> None:
    window = Window(4, 1, reference())
    add(window, [100.0, 100.0], level=2, outside=True, novel=True)
    add(window, [1.0, 2.0, 3.0])
    assert window.samples == 4
    assert window.volatility_reference_ratio() == pytest.approx((100 + 1 + 2 + 3) / 4 / 2)
    assert window.summary().verdicts == {"stable": 3, "elevated": 0, "unstable": 1}
    assert window.summary().out_of_range_rate == window.summary().novel_rate == 0.25
    add(window, [4.0])
    assert window.volatility_reference_ratio() == pytest.approx((1 + 2 + 3 + 4) / 4 / 2)
    assert window.summary().verdicts == {"stable": 4, "elevated": 0, "unstable": 0}
    assert window.summary().out_of_range_rate == window.summary().novel_rate == 0.0
    add(window, [5.0], novel=True)
    assert (window.summary().out_of_range_rate, window.summary().novel_rate) == (0.0, 0.25)


@pytest.mark.parametrize("before", [0, 1, 3])
def test_more_rows_than_fit_keep_the_latest(before: int) -> None:
    window = Window(3, 1, reference())
    add(window, [50.0] * before)
    add(window, [float(n) for n in range(10)])
    assert window.samples == 3
    assert window.volatility_reference_ratio() == pytest.approx((7 + 8 + 9) / 3 / 2)
    add(window, [1.0])
    assert window.volatility_reference_ratio() == pytest.approx((8 + 9 + 1) / 3 / 2)


def test_the_ring_equals_the_tail_of_everything_added() -> None:
    rng = np.random.default_rng(0)
    window = Window(37, 1, reference())
    added: list[float] = []
    for _ in range(200):
        rows = rng.uniform(size=rng.integers(0, 50)).tolist()
        add(window, rows)
        added += rows
        kept = np.array(added[-37:])
        assert window.samples == len(kept)
        if len(kept):
            assert window.volatility_reference_ratio() == pytest.approx(kept.mean() / 2)
            assert window.gradient_tail_ratio() == pytest.approx(np.quantile(10 * kept, 0.99) / (10 * kept).mean())
            assert contents(window)["p90"] == pytest.approx(np.quantile(kept, 0.9))


def test_ratios_are_absent_until_the_minimum() -> None:
    window = Window(10, 3, reference())
    add(window, [1.0, 2.0])
    assert (window.gradient_tail_ratio(), window.volatility_reference_ratio()) == (None, None)
    assert window.summary().samples == 2
    assert contents(window)["p50"] == 1.5
    add(window, [3.0])
    assert window.volatility_reference_ratio() == 1.0
    assert window.gradient_tail_ratio() is not None


def test_no_ratio_to_a_reference_of_zero() -> None:
    window = Window(10, 1, reference(mean=0.0))
    add(window, [0.0, 0.0])
    assert window.volatility_reference_ratio() is None
    assert window.gradient_tail_ratio() == 1.0  # as training has it in the card: no tail
