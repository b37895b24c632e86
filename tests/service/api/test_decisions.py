"""Decisions in JSON: what is withheld, what stays, and many rows at once."""

import pytest

from chainzrule.service.api.decisions import described, withheld
from chainzrule.service.api.predict import LARGE_ANSWER
from chainzrule.service.policy.policy import Decision
from tests.service.policy.conftest import NOVEL, USUAL, Ruled, ruled

__all__ = ["ruled"]  # a fixture
pytestmark = pytest.mark.anyio


def test_a_decision_is_described_with_its_causes() -> None:
    found = described(Decision("abstain", ("novel",), None, True))
    assert found == {"action": "abstain", "causes": ("novel",), "review": True}


def test_what_the_model_answers_is_withheld_and_the_rest_stays() -> None:
    row = {"label": "yes", "set": ["yes"], "novelty": None, "stability": {"verdict": "elevated", "runner_up": "no"}}
    assert withheld(row) == {
        "label": None,
        "set": None,
        "novelty": None,
        "stability": {"verdict": "elevated", "runner_up": None},
    }
    assert row["label"] == "yes"
    assert withheld({"value": 3.0, "interval": [1.0, 5.0], "stability": {"verdict": "stable"}}) == {
        "value": None,
        "interval": None,
        "stability": {"verdict": "stable"},
    }


@pytest.mark.parametrize("count", [3, LARGE_ANSWER + 100])
async def test_many_rows_are_decided_like_few(ruled: Ruled, count: int) -> None:
    async with ruled('[models.familiar]\nnovel = "abstain"') as client:
        rows = [NOVEL if row % 3 == 0 else USUAL for row in range(count)]
        predictions = (await client.post("/predict", json={"instances": rows})).json()["predictions"]
        assert len(predictions) == count
        for row, answer in enumerate(predictions):
            assert (answer["label"] is None) == (row % 3 == 0)
            assert answer["decision"]["action"] == ("abstain" if row % 3 == 0 else "answer")
