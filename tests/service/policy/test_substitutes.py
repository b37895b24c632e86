"""Fallbacks: another model answers where it can, and nobody where it cannot."""

import logging
from typing import Any

import numpy as np
import pytest

from tests.artifacts import FAMILIAR
from tests.service.policy.conftest import NOVEL, OTHER, USUAL, Ruled

pytestmark = pytest.mark.anyio


async def predictions(client: Any, rows: list[Any], **more: Any) -> list[dict[str, Any]]:
    response = await client.post("/predict", json={"instances": rows, **more})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["predictions"]
    return found


@pytest.mark.parametrize("shape", ["lists", "objects"])
async def test_another_model_answers_the_rows_that_are_given_to_it(ruled: Ruled, shape: str) -> None:
    rows: list[Any] = [USUAL, NOVEL, USUAL, [9.0, 3.5]]
    if shape == "objects":
        rows = [dict(zip(("age", "dose"), row, strict=True)) for row in rows]
    async with ruled('[models.familiar]\nnovel = "fallback: other"') as client:
        found = await predictions(client, rows)
        others = await predictions(client, rows, model="other")
        assert [row["decision"]["action"] for row in found] == ["answer", "fallback", "answer", "fallback"]
        for place in (1, 3):
            assert found[place]["decision"]["model"] == "other"
            assert found[place]["decision"]["version"] == "1"
            assert found[place]["probabilities"] == pytest.approx(others[place]["probabilities"])
            assert found[place]["label"] == others[place]["label"]
        expected = FAMILIAR.probabilities(np.array([USUAL]))[0]
        assert list(found[0]["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)
        assert not np.allclose(OTHER.probabilities(np.array([USUAL]))[0], expected)


@pytest.mark.parametrize(("model", "reason"), [("nobody", "model"), ("unlike", "labels")])
async def test_where_the_other_model_cannot_answer_nobody_does(
    ruled: Ruled, caplog: pytest.LogCaptureFixture, model: str, reason: str
) -> None:
    async with ruled(f'[models.familiar]\nnovel = "fallback: {model}"') as client:
        usual, novel = await predictions(client, [USUAL, NOVEL])
        counted = [line for line in (await client.get("/metrics")).text.splitlines() if "decisions_total{" in line]
    assert {line.partition('action="')[2].partition('"')[0] for line in counted} == {"answer", "abstain"}
    assert usual["label"] is not None
    assert (novel["label"], novel["decision"]["action"], novel["decision"]["causes"]) == (None, "abstain", ["novel"])
    said = [
        record.reason for record in caplog.records if record.levelno == logging.WARNING and "fallback" in record.msg
    ]
    assert len(said) == 1
    assert reason in said[0]


async def test_an_explanation_of_a_row_that_is_given_away_is_withheld(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "fallback: other"') as client:
        response = await client.post("/sensitivity", json={"instances": [NOVEL]})
        (row,) = response.json()["predictions"]
        assert (row["label"], row["decision"]["action"]) == (None, "fallback")


async def test_a_fallback_is_not_judged_by_a_policy_of_its_own(ruled: Ruled) -> None:
    rules = '[models.familiar]\nnovel = "fallback: other"\n[models.other]\nnovel = "reject"'
    async with ruled(rules) as client:
        (row,) = await predictions(client, [NOVEL])
        assert row["label"] is not None
        assert "novel" in row["stability"]["reasons"]
