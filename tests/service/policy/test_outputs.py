"""Outputs of the open inference protocol under policies: withheld rows are empty or NaN, and no other row is."""

from typing import Any

import httpx
import numpy as np
import pytest

from tests.artifacts import FAMILIAR
from tests.service.policy.conftest import NOVEL, OTHER, USUAL, Ruled

pytestmark = pytest.mark.anyio
NAMES = ("label", "probabilities", "scores", "flip_probability", "novelty", "set", "jacobian", "decision")


async def infer(client: httpx.AsyncClient, *names: str, binary: bool = False) -> dict[str, Any]:
    rows = np.array([USUAL, NOVEL])
    content = {
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [2, 2], "data": rows.ravel().tolist()}],
        "outputs": [{"name": name, "parameters": {"binary_data": binary}} for name in names],
    }
    response = await client.post("/v2/models/familiar/infer", json=content)
    assert response.status_code == 200, response.text
    if binary:
        return {"raw": response.content}
    return {output["name"]: output["data"] for output in response.json()["outputs"]}


async def test_without_a_policy_every_decision_is_to_answer(ruled: Ruled) -> None:
    async with ruled('[models.other]\nnovel = "abstain"') as client:
        found = await infer(client, "decision", "label")
        assert found["decision"] == ["answer", "answer"]
        assert "" not in found["label"]


async def test_withheld_rows_are_empty_and_others_are_not(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "abstain"') as client:
        found = await infer(client, *NAMES)
        assert found["decision"] == ["answer", "abstain"]
        assert found["label"][1] == ""
        assert found["label"][0] in FAMILIAR.names
        for name in ("probabilities", "scores", "set", "jacobian"):
            half = len(found[name]) // 2
            assert None not in found[name][:half]
            assert set(found[name][half:]) == {None}
        assert None not in found["flip_probability"] + found["novelty"]
        again = await infer(client, "label")
        assert again["label"] == found["label"]


async def test_binary_outputs_have_nan(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "abstain"') as client:
        raw = (await infer(client, "scores", binary=True))["raw"]
        scores = np.frombuffer(raw[-24:], np.float32).reshape(2, 3)
        assert np.isfinite(scores[0]).all()
        assert np.isnan(scores[1]).all()


async def test_another_models_outputs_take_their_place(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "fallback: other"') as client:
        found = await infer(client, *NAMES)
        assert found["decision"] == ["answer", "fallback"]
        own, others = FAMILIAR.scores(np.array([USUAL]))[0], OTHER.scores(np.array([NOVEL]))[0]
        assert found["scores"] == pytest.approx([*own, *others], abs=1e-4)
        assert found["label"][1] == OTHER.names[int(others.argmax())]
        assert set(found["jacobian"][6:]) == {None}  # it is not of the model that answers


async def test_a_row_to_reject_refuses_the_request(ruled: Ruled) -> None:
    async with ruled('[models.familiar]\nnovel = "reject"') as client:
        content = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 2], "data": NOVEL}]}
        response = await client.post("/v2/models/familiar/infer", json=content)
        assert response.status_code == 400
        assert response.json()["error"].startswith("inputs[0]: the policy for this model refuses rows")
