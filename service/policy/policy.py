"""Decides what becomes of an answer, by the verdict on it and by the reasons for that."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chainzrule.service.stability.verdict import NOT_COMPUTED, NOT_MEASURABLE, REASONS, VERDICTS

# What can be decided, from the mildest to the strictest. `answer` is what is decided where no rule applies.
ACTIONS = ("answer", "annotate", "review", "fallback", "abstain", "reject")
# What a rule can be about: a reason for a verdict, or a verdict itself.
CAUSES = (*REASONS, "unstable", VERDICTS[NOT_MEASURABLE], NOT_COMPUTED)


class Rule(NamedTuple):
    """Says what is to be done for one cause.

    Attributes:
        action: one of `ACTIONS` but the first.
        model: who answers instead, where the action is `fallback`; else None.
    """

    action: str
    model: str | None = None


class Decision(NamedTuple):
    """Says what was decided about one row.

    Attributes:
        action: one of `ACTIONS`.
        causes: those of the row's causes that the policy has a rule for, in the policy's order.
        model: the model that is to answer instead; None where there is no such.
        review: whether a person is to look at the row, whatever else was decided.
    """

    action: str
    causes: tuple[str, ...] = ()
    model: str | None = None
    review: bool = False

    @property
    def withholds(self) -> bool:
        """Returns whether this model's own answer is withheld."""
        return self.action in ("fallback", "abstain", "reject")


ANSWER = Decision("answer")


class Policy:
    """Holds the rules for one model's answers. Where several apply, the strictest decides.

    Attributes:
        rules: by cause, what is to be done.
    """

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.rules = dict(rules)

    def decide(self, verdict: str, reasons: Sequence[str]) -> Decision:
        """Returns the decision about a row.

        Args:
            verdict: the verdict on it, or `NOT_COMPUTED`.
            reasons: the reasons for the verdict.
        """
        if verdict == VERDICTS[NOT_MEASURABLE] and verdict not in self.rules:
            verdict = "unstable"  # nobody can say that it is better
        if not reasons and verdict not in self.rules:
            return ANSWER
        causes = tuple(cause for cause in self.rules if cause == verdict or cause in reasons)
        if not causes:
            return ANSWER
        rules = [self.rules[cause] for cause in causes]
        strictest = max(rules, key=_strictness)
        return Decision(strictest.action, causes, strictest.model, any(rule.action == "review" for rule in rules))


def _strictness(rule: Rule) -> int:
    return ACTIONS.index(rule.action)
