"""Judges predictions as stable, elevated or unstable, by the facts of the card and the thresholds of the settings.

Every rule is one object in the list that `rules_of` makes. The verdict is the worst level of all rules, and its reasons
are the rules that are not at the level stable. A new rule is one more entry in that list.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import ge, gt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Reference
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.lone.reference import percentile
from chainzrule.service.stability.measures import Diagnosis

VERDICTS = ("stable", "elevated", "unstable")


@dataclass(frozen=True)
class Thresholds:
    """Holds the thresholds at which verdicts begin; percentiles are those of the card's held-out rows."""

    unstable_flip_probability: float = 0.05
    elevated_flip_probability: float = 0.01
    elevated_volatility_percentile: int = 99
    regression_elevated_percentile: int = 95
    regression_unstable_percentile: int = 99
    regression_unstable_factor: float = 2.0


@dataclass(frozen=True)
class Rule:
    """Gives one reason for a verdict: a measure reaches or exceeds a limit.

    Attributes:
        reason: its name in answers.
        measure: the measure that it compares; None for the rule about features that are out of range.
        reaches: how the measure is compared with a limit, `operator.ge` or `operator.gt`.
        elevated: the limit of an elevated verdict.
        unstable: the limit of an unstable verdict.
    """

    reason: str
    measure: str | None
    reaches: Callable[[Any, Any], Any]
    elevated: float
    unstable: float = math.inf

    def level(self, diagnosis: Any, outside: Any) -> Any:
        """Returns the index into `VERDICTS`: a number for plain numbers of one row, (rows,) for arrays."""
        value = outside if self.measure is None else getattr(diagnosis, self.measure)
        elevated = self.reaches(value, self.elevated)
        if self.unstable == math.inf:
            return elevated * 1
        unstable = self.reaches(value, self.unstable)
        return (unstable | elevated) * 1 + unstable


def rules_of(link: Link, reference: Reference, thresholds: Thresholds) -> tuple[Rule, ...]:
    """Returns the rules for a model's rows, in the order in which reasons are given."""
    quantiles = reference.volatility.quantiles
    out_of_range = Rule("out_of_range", None, gt, 0.0)
    if not link.has_labels:
        elevated = quantiles[thresholds.regression_elevated_percentile]
        unstable = thresholds.regression_unstable_factor * quantiles[thresholds.regression_unstable_percentile]
        return Rule("volatility", "volatility", gt, elevated, unstable), out_of_range
    return (
        Rule(
            "flip_probability",
            "flip_probability",
            ge,
            thresholds.elevated_flip_probability,
            thresholds.unstable_flip_probability,
        ),
        Rule("volatility", "volatility", gt, quantiles[thresholds.elevated_volatility_percentile]),
        out_of_range,
    )


REASONS = ("flip_probability", "volatility", "out_of_range")


class Verdicts(NamedTuple):
    """Holds the verdicts on a batch.

    Attributes:
        level: (rows,) index into `VERDICTS`.
        rules: the rules that were applied.
        levels: for every rule, the level of each row by that rule, (rows,).
    """

    level: NDArray[np.int64]
    rules: tuple[Rule, ...]
    levels: tuple[NDArray[np.int64], ...]

    def reasons(self, row: int) -> list[str]:
        """Returns the reasons for one row's verdict."""
        return [rule.reason for rule, level in zip(self.rules, self.levels, strict=True) if level[row]]


def judge(rules: tuple[Rule, ...], diagnosis: Diagnosis, outside: NDArray[np.bool_]) -> Verdicts:
    """Returns the verdicts on a batch; `outside` says of each row, (rows,), whether a feature is out of its range."""
    levels = tuple(rule.level(diagnosis, outside) for rule in rules)
    return Verdicts(np.maximum.reduce(levels), rules, levels)


def unstable_share(link: Link, reference: Reference, thresholds: Thresholds) -> float | None:
    """Returns the share of the card's held-out rows that are unstable by these thresholds, to within 0.01.

    It is None where the card has no distribution of the measure that makes rows unstable.
    """
    for rule in rules_of(link, reference, thresholds):
        if rule.measure is not None and rule.unstable < math.inf:
            known = getattr(reference, rule.measure)
            return None if known is None else 1.0 - percentile(rule.unstable, known) / 100.0
    return None
