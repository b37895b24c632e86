"""Verdicts: every rule, and the edge of every threshold."""

import numpy as np
import pytest

from chainzrule.service.artifact.evidence import Conformity, Distribution, Novelty, Reference
from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability import verdict as verdicts
from chainzrule.service.stability.link import Link, link_of
from chainzrule.service.stability.measures import Diagnosis
from chainzrule.service.stability.verdict import REASONS, Beside, Thresholds, Verdicts, judge, rules_of, unstable_share

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


TEMPERED = Conformity(rows=1, out_of_fold=False, temperature=0.7, errors=(1.0,))
HUNDRED = reference([float(q) for q in range(101)])  # the q-th percentile is q


def link(task: Task) -> Link:
    return link_of(task, 1 if task == "regression" else 3)


def verdict(
    task: Task = "classification",
    flip: float = 0.0,
    volatility: float = 0.0,
    outside: bool = False,
    novelty: float | None = None,
    right: float | None = None,
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
        curvature=0.0 * one,
    )
    known = None if novelty is None else Novelty(rows=100, out_of_fold=False, surprise=HUNDRED.volatility)
    rules = rules_of(link(task), card, thresholds or Thresholds(), known, None if right is None else TEMPERED)
    beside = Beside(
        np.array([outside]),
        None if novelty is None else np.array([novelty], np.float32),
        None if right is None else np.array([right]),
    )
    verdicts: Verdicts = judge(rules, diagnosis, beside)
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


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_novel_rows_are_elevated_and_rows_at_the_limit_are_not(task: Task) -> None:
    assert verdict(task, novelty=98.5) == ("stable", [])
    assert verdict(task, novelty=98.6) == ("elevated", ["novel"])
    assert verdict(task, novelty=50.1, thresholds=Thresholds(novel_percentile=50.0)) == ("elevated", ["novel"])
    assert verdict(task, novelty=100.0, thresholds=Thresholds(novel_percentile=100.0)) == ("stable", [])


@pytest.mark.parametrize("task", ["classification", "ordinal"])
def test_answers_that_are_too_seldom_right_are_elevated_and_those_at_the_limit_are_not(task: Task) -> None:
    assert verdict(task, right=0.9) == ("stable", [])
    assert verdict(task, right=0.9 - TINY) == ("elevated", ["close_call"])
    assert verdict(task, right=0.1) == ("elevated", ["close_call"])
    assert verdict(task, right=0.7, thresholds=Thresholds(close_call_probability=0.7)) == ("stable", [])
    assert verdict(task, right=0.69, thresholds=Thresholds(close_call_probability=0.7)) == ("elevated", ["close_call"])
    assert verdict(task, right=0.0, thresholds=Thresholds(close_call_probability=0.0)) == ("stable", [])


def test_no_answer_is_close_where_the_card_has_no_temperature() -> None:
    untempered = TEMPERED.model_copy(update={"temperature": None})
    rules = rules_of(link("classification"), HUNDRED, Thresholds(), None, untempered)
    assert [rule.reason for rule in rules] == ["flip_probability", "volatility", "out_of_range"]


def test_the_rows_that_have_a_reason_are_told() -> None:
    rules = rules_of(link("classification"), HUNDRED, Thresholds(), None, TEMPERED)
    none, first, others = np.array([0, 0, 0]), np.array([1, 0, 0]), np.array([0, 1, 1])
    assert [rule.reason for rule in rules] == ["flip_probability", "volatility", "out_of_range", "close_call"]
    found = Verdicts(np.ones(3, np.int64), rules, (none, none, first, others))
    assert found.having("out_of_range").tolist() == [True, False, False]
    assert found.having("close_call").tolist() == [False, True, True]
    assert found.having("novel").tolist() == [False, False, False]


def test_all_reasons_are_said_and_the_worst_decides() -> None:
    every = ["flip_probability", "volatility", "out_of_range", "novel", "close_call"]
    assert verdict(flip=0.5, volatility=100.0, outside=True, novelty=1e9, right=0.1) == ("unstable", every)
    assert verdict(flip=0.02, volatility=100.0, outside=True, novelty=99.0, right=0.8) == ("elevated", every)
    assert verdict("regression", volatility=500.0, outside=True, novelty=99.0) == ("unstable", every[1:-1])


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


def test_the_unstable_share_of_the_cards_rows_follows_the_thresholds() -> None:
    flips = Distribution(mean=0.02, quantiles=(*[0.0] * 81, *(n / 100 for n in range(20))))
    card = HUNDRED.model_copy(update={"flip_probability": flips})
    assert unstable_share(link("classification"), HUNDRED, Thresholds()) is None
    assert unstable_share(link("classification"), card, Thresholds()) == pytest.approx(0.14)
    loose = Thresholds(unstable_flip_probability=0.5)
    assert unstable_share(link("classification"), card, loose) == 0
    assert unstable_share(link("regression"), HUNDRED, Thresholds()) == 0
    half = Thresholds(regression_unstable_percentile=40, regression_unstable_factor=1.5)
    assert unstable_share(link("regression"), HUNDRED, half) == pytest.approx(0.4)


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_every_rules_reason_is_one_that_answers_may_give(task: Task) -> None:
    known = Novelty(rows=100, out_of_fold=False, surprise=HUNDRED.volatility)
    reasons = [rule.reason for rule in rules_of(link(task), HUNDRED, Thresholds(), known, TEMPERED)]
    assert reasons == [reason for reason in REASONS if reason in reasons]
    assert reasons[-3:] == ["out_of_range", "novel", "close_call"]


def test_the_unstable_share_is_of_the_rule_that_makes_rows_unstable_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = HUNDRED.model_copy(update={"flip_probability": HUNDRED.volatility})
    expected = unstable_share(link("classification"), card, Thresholds())
    backwards = rules_of(link("classification"), card, Thresholds())[::-1]
    monkeypatch.setattr(verdicts, "rules_of", lambda *_: backwards)
    assert unstable_share(link("classification"), card, Thresholds()) == expected == pytest.approx(1.0 - 0.05 / 100)


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_no_answer_of_a_model_that_is_no_better_than_a_guess_is_stable(task: Task) -> None:
    guessing = HUNDRED.model_copy(update={"uninformative": True})
    assert verdict(task, card=guessing) == ("elevated", ["uninformative"])
    assert verdict(task, outside=True, card=guessing) == ("elevated", ["out_of_range", "uninformative"])
    assert verdict(task, card=HUNDRED) == ("stable", [])
