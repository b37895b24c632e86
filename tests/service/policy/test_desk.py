"""Policies at work: rows are answered, withheld, refused, counted and reviewed as the file says."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from chainzrule.service.api.schemas.predictions import PredictionAnswer
from tests.processes import until
from tests.service.policy.conftest import NOVEL, USUAL, Ruled

pytestmark = pytest.mark.anyio


async def predict(client: httpx.AsyncClient, *rows: list[float], **more: Any) -> list[dict[str, Any]]:
    response = await client.post("/predict", json={"instances": rows, **more})
    assert response.status_code == 200, response.text
    PredictionAnswer.model_validate_json(response.content)
    predictions: list[dict[str, Any]] = response.json()["predictions"]
    return predictions


async def decisions(client: httpx.AsyncClient) -> dict[str, float]:
    """The counted decisions by action."""
    lines = [line for line in (await client.get("/metrics")).text.splitlines() if "decisions_total{" in line]
    return {line.partition('action="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


async def test_without_a_rule_that_applies_the_answer_is_as_ever(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "abstain"') as client:
        (answer,) = await predict(client, USUAL)
        (plain,) = await predict(client, USUAL, model="other")
        assert answer.pop("decision") == {"action": "answer", "causes": [], "review": False}
        assert answer.keys() == plain.keys()
        assert answer["label"] is not None
        assert await decisions(client) == {"answer": 1.0}


async def test_an_answer_is_withheld_and_says_why(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "abstain"') as client:
        usual, novel = await predict(client, USUAL, NOVEL)
        assert usual["label"] is not None
        assert [novel[name] for name in ("label", "probabilities", "set")] == [None, None, None]
        assert novel["stability"]["runner_up"] is None
        assert novel["stability"]["reasons"][-1] == "novel"
        assert novel["novelty"]["percentile"] == 100.0
        assert novel["decision"] == {"action": "abstain", "causes": ["novel"], "review": False}
        assert await decisions(client) == {"answer": 1.0, "abstain": 1.0}


async def test_one_row_is_withheld_like_one_of_several(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "abstain"') as client:
        (alone,) = await predict(client, NOVEL)
        among = (await predict(client, USUAL, NOVEL))[1]
        assert (alone["label"], alone["decision"]) == (among["label"], among["decision"])


async def test_a_question_with_a_row_to_reject_is_refused_and_counted(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "reject"') as client:
        response = await client.post("/predict", json={"instances": [USUAL, NOVEL]})
        assert response.status_code == 422
        problem = response.json()
        assert (problem["type"], problem["place"]) == ("urn:chainzrule:problem:rejected", "instances[1]")
        assert problem["detail"] == "the policy for this model refuses rows whose answer is novel"
        assert await decisions(client) == {"answer": 1.0, "reject": 1.0}
        assert 'rejected_requests_total{reason="rejected"} 1.0' in (await client.get("/metrics")).text


async def test_what_is_not_observed_is_decided_and_not_counted(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "abstain"') as client:
        (answer,) = await predict(client, NOVEL, observe=False)
        assert answer["label"] is None
        assert await decisions(client) == {}


@pytest.mark.parametrize("inputs", [False, True])
async def test_rows_for_review_are_sent_with_their_request(ruled: Ruled, tmp_path: Path, inputs: bool) -> None:
    rules = '[models.familiar]\nnovel = "review"\nout_of_range = "abstain"\n'
    rules += f'[reviews]\nfile = "rows.jsonl"\ninputs = {str(inputs).lower()}'
    async with ruled(rules) as client:
        response = await client.post(
            "/predict", json={"instances": [USUAL, NOVEL, [11.0, 4.0]]}, headers={"x-request-id": "r-1"}
        )
        assert [row["decision"]["review"] for row in response.json()["predictions"]] == [False, True, True]
        assert [row["decision"]["action"] for row in response.json()["predictions"]] == ["answer", "review", "abstain"]
        path = tmp_path / "rows.jsonl"
        until(path.exists)
        until(lambda: path.read_text().count("\n") == 2)
        first, second = map(json.loads, path.read_text().splitlines())
        assert (first["request_id"], first["row"], first["model"], first["version"]) == ("r-1", 1, "familiar", "1")
        assert (first["action"], first["causes"]) == ("review", ["novel"])
        assert (second["row"], second["action"], second["causes"]) == (2, "abstain", ["novel", "out_of_range"])
        assert second["label"] in ("no", "yes", "maybe")
        assert second.get("inputs") == ([11.0, 4.0] if inputs else None)
        await predict(client, NOVEL, observe=False)
    assert path.read_text().count("\n") == 2


async def test_new_policies_hold_from_the_next_question_on(ruled: Ruled, tmp_path: Path) -> None:
    async with ruled('[models.familiar]\nnovel = "abstain"') as client:
        assert (await predict(client, NOVEL))[0]["label"] is None
        (tmp_path / "policies.toml").write_text('[models.familiar]\nnovel = "annotate"')
        await client.app.reload()  # type: ignore[attr-defined]
        (answer,) = await predict(client, NOVEL)
        assert answer["label"] is not None
        assert answer["decision"] == {"action": "annotate", "causes": ["novel"], "review": False}


async def test_explanations_withhold_what_predictions_do(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "abstain"\n[models.other]\nnovel = "reject"') as client:
        response = await client.post("/sensitivity", json={"instances": [USUAL, NOVEL]})
        usual, novel = response.json()["predictions"]
        assert (usual["decision"]["action"], novel["decision"]["action"]) == ("answer", "abstain")
        assert usual["label"] is not None
        assert [novel[name] for name in ("label", "probabilities", "set")] == [None, None, None]
        assert novel["sensitivities"]
        assert await decisions(client) == {}
        refused = await client.get("/sensitivity", params={"x": "9,3", "model": "other"})
        assert (refused.status_code, refused.json()["place"]) == (422, "x")


async def test_policies_of_models_that_are_not_there_are_named(ruled: Ruled, caplog: pytest.LogCaptureFixture) -> None:
    async with ruled('[models.familar]\nnovel = "abstain"\n[models.other]\nnovel = "fallback: nobody"'):
        async with asyncio.timeout(20):
            while not any(hasattr(record, "models") for record in caplog.records):
                await asyncio.sleep(0.01)
    (record,) = [record for record in caplog.records if "not in the repository" in record.getMessage()]
    assert record.models == ["familar", "nobody"]  # type: ignore[attr-defined]
