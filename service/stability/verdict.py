"""Judges predictions as stable, elevated or unstable, by the facts of the card and the thresholds of the settings.

Every rule is one object in the list that `rules_of` makes. The verdict is the worst level of all rules, and its reasons
are the rules that are not at the level stable. A new rule is one more entry in that list.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import ge, gt, lt
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.evidence import Conformity, Novelty, Reference
from chainzrule.service.stability.link import Link
from chainzrule.service.stability.lone.reference import percentile
from chainzrule.service.stability.measures import Diagnosis
from chainzrule.service.stability.novelty import novel_above
from chainzrule.service.stability.soundness import UNSOUND, Unsound

VERDICTS = ("stable", "elevated", "unstable", "not_measurable")
NOT_MEASURABLE = VERDICTS.index("not_measurable")  # stands for rows to which the closed form does not apply
CLOSE_CALL = "close_call"  # the reason of labels that are seldom enough right
NOT_COMPUTED = "not_computed"  # stands for the verdict on rows whose stability was not measured

# A verdict on a row, or `NOT_COMPUTED`, and the reasons for it.
Judged = tuple[str, list[str]]


@dataclass(frozen=True)
class Thresholds:
    """Holds the thresholds at which verdicts begin; percentiles are those of the card's held-out rows."""

    unstable_flip_probability: float = 0.05
    elevated_flip_probability: float = 0.01
    elevated_volatility_percentile: int = 99
    regression_elevated_percentile: int = 95
    regression_unstable_percentile: int = 99
    regression_unstable_factor: float = 2.0
    novel_percentile: float = 98.5
    close_call_probability: float = 0.9


class Beside(NamedTuple):
    """Holds what is known of rows beside their measures, in arrays over the rows or in plain numbers for one row.

    Attributes:
        out_of_range: whether a feature is out of its range.
        novelty: how unlike the training rows a row is; None where the model does not say.
        chance_right: how likely the label is to be right; None where the card does not say.
    """

    out_of_range: Any
    novelty: Any = None
    chance_right: Any = None


BESIDE = frozenset(Beside._fields)


@dataclass(frozen=True)
class Rule:
    """Gives one reason for a verdict: a measure reaches, exceeds or falls below a limit.

    Attributes:
        reason: its name in answers.
        fact: what it compares: a measure, or one of `BESIDE`.
        reaches: how the measure is compared with a limit, `operator.ge`, `gt` or `lt`.
        elevated: the limit of an elevated verdict.
        unstable: the limit of an unstable verdict.
    """

    reason: str
    fact: str
    reaches: Callable[[Any, Any], Any]
    elevated: float
    unstable: float = math.inf

    def level(self, diagnosis: Any, beside: Any) -> Any:
        """Returns the index into `VERDICTS`: a number for plain numbers of one row, (rows,) for arrays."""
        value = getattr(beside if self.fact in BESIDE else diagnosis, self.fact)
        elevated = self.reaches(value, self.elevated)
        if self.unstable == math.inf:
            return elevated * 1
        unstable = self.reaches(value, self.unstable)
        return (unstable | elevated) * 1 + unstable


def rules_of(
    link: Link,
    reference: Reference,
    thresholds: Thresholds,
    novelty: Novelty | None = None,
    conformity: Conformity | None = None,
) -> tuple[Rule, ...]:
    """Returns the rules for a model's rows, in the order in which reasons are given."""
    quantiles = reference.volatility.quantiles
    beside = [Rule("out_of_range", "out_of_range", gt, 0.0)]
    if novelty is not None:
        beside.append(Rule("novel", "novelty", gt, novel_above(novelty, thresholds.novel_percentile)))
    if conformity is not None and conformity.temperature is not None:
        beside.append(Rule(CLOSE_CALL, "chance_right", lt, thresholds.close_call_probability))
    if reference.uninformative:  # a constant is as steady as can be, so every row is caught
        beside.append(Rule("uninformative", "volatility", ge, 0.0))
    if not link.has_labels:
        elevated = quantiles[thresholds.regression_elevated_percentile]
        unstable = thresholds.regression_unstable_factor * quantiles[thresholds.regression_unstable_percentile]
        return Rule("volatility", "volatility", gt, elevated, unstable), *beside
    return (
        Rule(
            "flip_probability",
            "flip_probability",
            ge,
            thresholds.elevated_flip_probability,
            thresholds.unstable_flip_probability,
        ),
        Rule("volatility", "volatility", gt, quantiles[thresholds.elevated_volatility_percentile]),
        *beside,
    )


REASONS = (
    *("flip_probability", "volatility", "out_of_range", "novel", CLOSE_CALL, "uninformative"),
    *UNSOUND,
)


class Verdicts(NamedTuple):
    """Holds the verdicts on a batch.

    Attributes:
        level: (rows,) index into `VERDICTS`.
        rules: the rules that were applied.
        levels: for every rule, the level of each row by that rule, (rows,).
        unsound: for some of `soundness.UNSOUND`, which rows, (rows,), are `not_measurable` for it.
    """

    level: NDArray[np.int64]
    rules: tuple[Rule, ...]
    levels: tuple[NDArray[np.int64], ...]
    unsound: Unsound = MappingProxyType({})

    def reasons(self, row: int) -> list[str]:
        """Returns the reasons for one row's verdict."""
        if self.level[row] == NOT_MEASURABLE:
            return [reason for reason, rows in self.unsound.items() if rows[row]] + [
                rule.reason
                for rule, level in zip(self.rules, self.levels, strict=True)
                if level[row] and rule.fact in BESIDE
            ]
        return [rule.reason for rule, level in zip(self.rules, self.levels, strict=True) if level[row]]

    def having(self, reason: str) -> NDArray[np.bool_]:
        """Returns the (rows,) mask of the rows whose verdict has this reason."""
        for rule, level in zip(self.rules, self.levels, strict=True):
            if rule.reason == reason:
                return np.asarray(level > 0)
        return np.zeros(len(self.level), np.bool_)

    def judged(self, part: slice) -> Iterable[Judged]:
        """Returns the verdict on each of the rows `part`, and the reasons for it."""
        for row, level in enumerate(self.level[part].tolist(), part.start):
            yield VERDICTS[level], self.reasons(row) if level else []


def judge(rules: tuple[Rule, ...], diagnosis: Diagnosis, beside: Beside, unsound: Unsound | None = None) -> Verdicts:
    """Returns the verdicts on a batch; `unsound` rows are not judged by measures that do not hold for them."""
    levels = tuple(rule.level(diagnosis, beside) for rule in rules)
    level = np.maximum.reduce(levels)
    if not unsound:
        return Verdicts(level, rules, levels)
    return Verdicts(
        np.where(np.logical_or.reduce(list(unsound.values())), NOT_MEASURABLE, level), rules, levels, unsound
    )


def unstable_share(link: Link, reference: Reference, thresholds: Thresholds) -> float | None:
    """Returns the share of the card's held-out rows that are unstable by these thresholds, to within 0.01.

    It is None where the card has no distribution of the measure that makes rows unstable.
    """
    for rule in rules_of(link, reference, thresholds):
        if rule.unstable < math.inf:
            known = getattr(reference, rule.fact)
            return None if known is None else 1.0 - percentile(rule.unstable, known) / 100.0
    return None
