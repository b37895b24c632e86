"""Real sensitivities have the documented shape, with all that may be asked for."""

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from chainzrule.service.api.schemas.sensitivities import SensitivityAnswer
from tests.artifacts import ALL, MIXED, Toy

pytestmark = pytest.mark.anyio

ASKED: list[dict[str, Any]] = [
    {},
    {"include": ["jacobian", "layers"], "noise_scale": 2},
    {"method": "monte_carlo", "draws": 16},
    {"top": 1},
    {"include": ["attributions"]},
    {"counterfactual": {}},
    {"counterfactual": {"sparse": True}, "top": 1, "include": ["attributions"]},
]


@pytest.mark.parametrize("asked", ASKED, ids=["plain", "included", "drawn", "top", "attributed", "changed", "few"])
@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
async def test_nothing_is_lost_and_nothing_made_of_something_else(
    client: httpx.AsyncClient, toy: Toy, asked: dict[str, Any]
) -> None:
    rows = [[3.5, "red", 1.0, "north"]] if toy is MIXED else toy.rows(2).tolist()
    if "counterfactual" in asked and toy.task == "regression":
        asked = {**asked, "counterfactual": {**asked["counterfactual"], "at_least": 1.0}}
    response = await client.post("/sensitivity", json={"instances": rows, "model": toy.name, **asked})
    assert response.status_code == 200, response.text
    found = SensitivityAnswer.model_validate_json(response.content)
    assert found.model_dump(mode="json", exclude_unset=True) == response.json()


async def test_no_member_is_new(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/sensitivity?x=1,2")).json()
    (row,) = answer["predictions"]
    for part in (answer, row, row["sensitivities"][0]):
        part["s3cret"] = 1
        with pytest.raises(ValidationError):
            SensitivityAnswer.model_validate(answer)
        del part["s3cret"]
    SensitivityAnswer.model_validate(answer)
