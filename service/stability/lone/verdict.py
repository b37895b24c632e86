"""Judges one row by the rules of `stability.verdict`."""

from typing import NamedTuple

from chainzrule.service.stability.lone.measures import LoneDiagnosis
from chainzrule.service.stability.verdict import Beside, Rule


class LoneVerdict(NamedTuple):
    """Holds one row of `verdict.Verdicts`."""

    level: int
    rules: tuple[Rule, ...]
    levels: tuple[int, ...]

    def reasons(self) -> list[str]:
        """Returns the reasons for the verdict."""
        return [rule.reason for rule, level in zip(self.rules, self.levels, strict=True) if level]


def judge_row(rules: tuple[Rule, ...], diagnosis: LoneDiagnosis, beside: Beside) -> LoneVerdict:
    """Returns the verdict on one row, by plain numbers."""
    levels = tuple([rule.level(diagnosis, beside) for rule in rules])
    return LoneVerdict(max(levels), rules, levels)
