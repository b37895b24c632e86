"""Verdicts: every rule, and the edge of every threshold."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chainzrule.service.artifact.card import Distribution, Reference, Task
from chainzrule.service.stability.measures import Diagnosis
from chainzrule.service.stability.verdict import Thresholds, Verdicts, judge, percentile, reference_unstable_share

TINY = 1e-9


def reference(quantiles: list[float]) -> Reference:
    distribution = Distribution(mean=float(np.mean(quantiles)), quantiles=tuple(quantiles))
    return Reference(
        rows=100,
        out_of_fold=False,
        volatility=distribution,
        gradient_norm=distribution,
        gradient_tail_ratio=1.0,
        out_of_range_rate=0.0,
    )


HUNDRED = reference([float(q) for q in range(101)])  # the q-th percentile is q


def verdict(
    task: Task = "classification",
    flip: float = 0.0,
    volatility: float = 0.0,
    outside: bool = False,
    thresholds: Thresholds | None = None,
    card: Reference = HUNDRED,
) -> tuple[str, list[str]]:
    one = np.ones(1)
    diagnosis = Diagnosis(
        label=np.zeros(1, np.int64),
        value=one,
        volatility=one * volatility,
        flip_distance=one,
        flip_probability=one * (np.nan if task == "regression" else flip),
        runner_up=np.ones(1, np.int64),
        gradient_norm=one,
        gradient=one[:, None],
    )
    verdicts: Verdicts = judge(task, diagnosis, np.array([outside]), card, thresholds or Thresholds())
    return ("stable", "elevated", "unstable")[verdicts.level[0]], verdicts.reasons(0)


@pytest.mark.parametrize("task", ["classification", "ordinal"])
@pytest.mark.parametrize(
    ("flip", "expected"),
    [
        (0.0, ("stable", [])),
        (0.01 - TINY, ("stable", [])),
        (0.01, ("elevated", ["flip_probability"])),
        (0.05 - TINY, ("elevated", ["flip_probability"])),
        (0.05, ("unstable", ["flip_probability"])),
        (1.0, ("unstable", ["flip_probability"])),
    ],
)
def test_flip_probability(task: Task, flip: float, expected: tuple[str, list[str]]) -> None:
    assert verdict(task, flip=flip) == expected


@pytest.mark.parametrize("task", ["classification", "ordinal"])
def test_volatility_above_the_99th_percentile_is_elevated(task: Task) -> None:
    assert verdict(task, volatility=99.0) == ("stable", [])
    assert verdict(task, volatility=99.0 + TINY) == ("elevated", ["volatility"])
    assert verdict(task, volatility=1e9) == ("elevated", ["volatility"])


@pytest.mark.parametrize(
    ("volatility", "expected"),
    [
        (0.0, ("stable", [])),
        (95.0, ("stable", [])),
        (95.0 + TINY, ("elevated", ["volatility"])),
        (198.0, ("elevated", ["volatility"])),
        (198.0 + TINY, ("unstable", ["volatility"])),
    ],
)
def test_regression_goes_by_volatility(volatility: float, expected: tuple[str, list[str]]) -> None:
    assert verdict("regression", volatility=volatility) == expected


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_out_of_range_is_elevated(task: Task) -> None:
    assert verdict(task, outside=True) == ("elevated", ["out_of_range"])


def test_all_reasons_are_said_and_the_worst_decides() -> None:
    every = ["flip_probability", "volatility", "out_of_range"]
    assert verdict(flip=0.5, volatility=100.0, outside=True) == ("unstable", every)
    assert verdict(flip=0.02, volatility=100.0, outside=True) == ("elevated", every)
    assert verdict("regression", volatility=500.0, outside=True) == ("unstable", every[1:])


def test_thresholds_are_the_settings() -> None:
    own = Thresholds(
        unstable_flip_probability=0.3,
        elevated_flip_probability=0.2,
        elevated_volatility_percentile=50,
        regression_elevated_percentile=10,
        regression_unstable_percentile=20,
        regression_unstable_factor=3.0,
    )
    assert verdict(flip=0.19, thresholds=own)[0] == "stable"
    assert verdict(flip=0.2, thresholds=own)[0] == "elevated"
    assert verdict(flip=0.3, thresholds=own)[0] == "unstable"
    assert verdict(volatility=51.0, thresholds=own)[0] == "elevated"
    assert verdict("regression", volatility=10.5, thresholds=own)[0] == "elevated"
    assert verdict("regression", volatility=60.5, thresholds=own)[0] == "unstable"


def test_unstable_below_elevated_still_speaks_of_the_flip() -> None:
    own = Thresholds(unstable_flip_probability=0.1, elevated_flip_probability=0.5)
    assert verdict(flip=0.2, thresholds=own) == ("unstable", ["flip_probability"])


def test_a_model_without_noise_is_stable() -> None:
    assert verdict(card=reference([0.0] * 101)) == ("stable", [])
    assert verdict("regression", card=reference([0.0] * 101)) == ("stable", [])


def at(values: list[float], quantiles: list[float]) -> NDArray[np.float64]:
    return percentile(np.array(values), reference(quantiles))


def test_percentiles_lie_between_the_quantiles() -> None:
    found = at([0.0, 37.0, 37.25, 99.5, 100.0], [float(q) for q in range(101)])
    np.testing.assert_allclose(found, [0.0, 37.0, 37.25, 99.5, 100.0], atol=1e-12)


def test_percentiles_end_at_0_and_100() -> None:
    assert at([-1.0, 1e9], [float(q) for q in range(101)]).tolist() == [0.0, 100.0]


def test_equal_quantiles_give_their_middle() -> None:
    quantiles = [0.0] * 41 + [float(q) for q in range(1, 61)]
    assert at([0.0], quantiles).tolist() == [20.0]
    assert at([1.0, 1.5], quantiles).tolist() == [41.0, 41.5]
    quantiles = [float(q) for q in range(50)] + [50.0] * 51
    assert at([50.0], quantiles).tolist() == [75.0]


def test_above_equal_last_quantiles_is_100_and_below_equal_first_is_0() -> None:
    assert at([0.3 + 1e-3, 0.3 - 1e-3, 0.3], [0.3] * 101).tolist() == [100.0, 0.0, 50.0]
    assert at([50.01], [float(q) for q in range(50)] + [50.0] * 51).tolist() == [100.0]


def test_percentiles_rise_with_the_volatility() -> None:
    rng = np.random.default_rng(0)
    quantiles = np.sort(np.round(rng.gamma(1.0, size=101), 1)).tolist()
    found = at(np.linspace(-1, 10, 1000).tolist(), quantiles)
    assert (np.diff(found) >= 0).all()
    assert (found[0], found[-1]) == (0.0, 100.0)


def test_the_unstable_share_of_the_cards_rows_follows_the_thresholds() -> None:
    flips = Distribution(mean=0.02, quantiles=(*[0.0] * 81, *(n / 100 for n in range(20))))
    card = HUNDRED.model_copy(update={"flip_probability": flips})
    assert reference_unstable_share("classification", HUNDRED, Thresholds()) is None
    assert reference_unstable_share("classification", card, Thresholds()) == pytest.approx(0.14)
    loose = Thresholds(unstable_flip_probability=0.5)
    assert reference_unstable_share("classification", card, loose) == 0
    assert reference_unstable_share("regression", HUNDRED, Thresholds()) == 0
    half = Thresholds(regression_unstable_percentile=40, regression_unstable_factor=1.5)
    assert reference_unstable_share("regression", HUNDRED, half) == pytest.approx(0.4)
