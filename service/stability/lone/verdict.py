"""Judges one row by the rules of `stability.verdict`."""

from typing import NamedTuple

from chainzrule.service.stability.lone.measures import LoneDiagnosis
from chainzrule.service.stability.verdict import BESIDE, NOT_MEASURABLE, Beside, Rule


class LoneVerdict(NamedTuple):
    """Holds one row of `verdict.Verdicts`."""

    level: int
    rules: tuple[Rule, ...]
    levels: tuple[int, ...]
    unsound: tuple[str, ...] = ()

    def reasons(self) -> list[str]:
        """Returns the reasons for the verdict."""
        if self.unsound:
            found = [
                rule.reason
                for rule, level in zip(self.rules, self.levels, strict=True)
                if level and rule.fact in BESIDE
            ]
            return [*self.unsound, *found]
        return [rule.reason for rule, level in zip(self.rules, self.levels, strict=True) if level]


def judge_row(
    rules: tuple[Rule, ...], diagnosis: LoneDiagnosis, beside: Beside, unsound: tuple[str, ...] = ()
) -> LoneVerdict:
    """Returns the verdict on one row, by plain numbers; `unsound` says why its measures do not hold."""
    levels = tuple([rule.level(diagnosis, beside) for rule in rules])
    return LoneVerdict(NOT_MEASURABLE if unsound else max(levels), rules, levels, unsound)
