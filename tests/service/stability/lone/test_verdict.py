"""The verdict on one row: what a batch's verdicts say of it, with the reasons of the rules that spoke."""

import math

import numpy as np
import pytest

from chainzrule.service.artifact.evidence import Conformity, Distribution, Novelty, Reference
from chainzrule.service.artifact.interface import Task
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.lone.measures import LoneDiagnosis
from chainzrule.service.stability.lone.verdict import judge_row
from chainzrule.service.stability.measures import Diagnosis
from chainzrule.service.stability.verdict import Beside, Thresholds, judge, rules_of

HUNDRED = Distribution(mean=50.0, quantiles=tuple(float(q) for q in range(101)))  # the q-th percentile is q
REFERENCE = Reference(
    rows=101,
    out_of_fold=False,
    volatility=HUNDRED,
    gradient_norm=HUNDRED,
    gradient_tail_ratio=1.0,
    out_of_range_rate=0.0,
)
NOVELTY = Novelty(rows=101, out_of_fold=False, surprise=HUNDRED)
TEMPERED = Conformity(rows=1, out_of_fold=False, temperature=0.7, errors=(1.0,))


def measured(flip: float, volatility: float) -> LoneDiagnosis:
    return LoneDiagnosis(0, 1.0, volatility, 1.0, flip, 1, 1.0, [1.0])


def as_batch(one: LoneDiagnosis) -> Diagnosis:
    return Diagnosis(*(np.array([value]) for value in one))


@pytest.mark.parametrize("task", ["classification", "ordinal", "regression"])
def test_verdicts_are_the_same(task: Task) -> None:
    rules = rules_of(link_of(task, 3), REFERENCE, Thresholds(), NOVELTY, TEMPERED)
    seen = set()
    for flip in (0.0, 0.0099, 0.01, 0.0499, 0.05, 1.0):
        for volatility in (0.0, 95.0, 95.1, 99.0, 99.1, 198.0, 198.1):
            for outside, novelty, right in (
                (False, 0.0, 0.9),
                (True, 98.5, 0.89),
                (False, 98.6, 1.0),
                (True, 1e9, 0.0),
            ):
                one = measured(math.nan if task == "regression" else flip, volatility)
                beside = Beside(*(np.array([fact]) for fact in (outside, novelty, right)))
                expected = judge(rules, as_batch(one), beside)
                found = judge_row(rules, one, Beside(outside, novelty, right))
                assert [found.level] == expected.level.tolist()
                assert found.reasons() == expected.reasons(0)
                seen.add(found.level)
    assert seen == {0, 1, 2}


@pytest.mark.parametrize(
    ("flip", "volatility", "outside", "novelty", "right", "level", "reasons"),
    [
        (0.0, 0.0, False, 98.5, 0.9, 0, []),
        (0.01, 0.0, False, 0.0, 1.0, 1, ["flip_probability"]),
        (0.0, 99.1, False, 0.0, 1.0, 1, ["volatility"]),
        (0.0, 0.0, True, 0.0, 1.0, 1, ["out_of_range"]),
        (0.0, 0.0, False, 98.6, 1.0, 1, ["novel"]),
        (0.0, 0.0, False, 0.0, 0.89, 1, ["close_call"]),
        (0.05, 99.1, True, 98.6, 0.89, 2, ["flip_probability", "volatility", "out_of_range", "novel", "close_call"]),
    ],
)
def test_the_worst_decides_and_all_reasons_are_said(
    flip: float, volatility: float, outside: bool, novelty: float, right: float, level: int, reasons: list[str]
) -> None:
    rules = rules_of(link_of("classification", 3), REFERENCE, Thresholds(), NOVELTY, TEMPERED)
    found = judge_row(rules, measured(flip, volatility), Beside(outside, novelty, right))
    assert (found.level, found.reasons()) == (level, reasons)
    assert found.rules is rules
