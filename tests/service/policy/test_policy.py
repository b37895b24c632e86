"""Policies: the strictest of the rules that apply decides, and every decision says why."""

import pytest

from chainzrule.service.policy.policy import ACTIONS, ANSWER, CAUSES, Decision, Policy, Rule
from chainzrule.service.stability.verdict import REASONS

STRICT = Policy(
    {
        "close_call": Rule("review"),
        "novel": Rule("abstain"),
        "unstable": Rule("fallback", "other"),
        "volatility": Rule("annotate"),
    }
)


@pytest.mark.parametrize(
    ("verdict", "reasons", "decision"),
    [
        ("stable", [], ANSWER),
        ("elevated", ["flip_probability"], ANSWER),
        ("elevated", ["volatility"], Decision("annotate", ("volatility",))),
        ("elevated", ["volatility", "novel"], Decision("abstain", ("novel", "volatility"))),
        ("elevated", ["novel", "close_call"], Decision("abstain", ("close_call", "novel"), None, True)),
        ("unstable", ["flip_probability"], Decision("fallback", ("unstable",), "other")),
        (
            "unstable",
            ["flip_probability", "close_call"],
            Decision("fallback", ("close_call", "unstable"), "other", True),
        ),
        ("not_computed", ["novel"], Decision("abstain", ("novel",))),
    ],
)
def test_the_strictest_rule_decides(verdict: str, reasons: list[str], decision: Decision) -> None:
    assert STRICT.decide(verdict, reasons) == decision


def test_what_was_not_measured_can_be_a_cause_of_its_own() -> None:
    assert Policy({"not_computed": Rule("reject")}).decide("not_computed", []) == Decision("reject", ("not_computed",))


def test_what_nobody_can_measure_is_no_better_than_unstable() -> None:
    assert Policy({"unstable": Rule("abstain")}).decide("not_measurable", ["noise_law"]).action == "abstain"
    own = Policy({"unstable": Rule("abstain"), "not_measurable": Rule("annotate")})
    assert own.decide("not_measurable", ["noise_law"]).action == "annotate"
    assert Policy({"novel": Rule("abstain")}).decide("not_measurable", ["noise_law"]).action == "answer"


@pytest.mark.parametrize(("action", "withholds"), [(action, action in ACTIONS[3:]) for action in ACTIONS])
def test_the_strictest_actions_withhold_the_answer(action: str, withholds: bool) -> None:
    assert Decision(action).withholds == withholds


def test_every_reason_for_a_verdict_can_be_a_cause() -> None:
    assert set(REASONS) < set(CAUSES)
