"""Real predictions have the documented shape, whole and with nothing besides."""

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from chainzrule.service.api.schemas.predictions import PredictionAnswer
from tests.artifacts import ALL, CLASSIFIER, MIXED, REGRESSION, Toy, probed
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio


def rows_of(toy: Toy) -> list[list[Any]]:
    return [[3.5, "red", 1.0, "north"]] if toy is MIXED else toy.rows(3).tolist()


@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
async def test_nothing_is_lost_and_nothing_made_of_something_else(client: httpx.AsyncClient, toy: Toy) -> None:
    for scale in (1, 2):
        question = {"instances": rows_of(toy), "model": toy.name, "noise_scale": scale, "confidence": 1 - scale / 200}
        answer = (await client.post("/predict", json=question)).json()
        assert PredictionAnswer.model_validate(answer).model_dump(mode="json", exclude_unset=True) == answer


async def test_every_member_is_needed_and_none_is_new(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/predict", json={"instances": [[1.0, 2.0]]})).json()
    (row,) = answer["predictions"]
    for part in (answer, row, row["stability"]):
        for name in list(part):
            value = part.pop(name)
            with pytest.raises(ValidationError):
                PredictionAnswer.model_validate(answer)
            part[name] = value
        part["s3cret"] = 1
        with pytest.raises(ValidationError):
            PredictionAnswer.model_validate(answer)
        del part["s3cret"]
    PredictionAnswer.model_validate(answer)


async def test_stability_that_was_not_computed_has_a_shape_of_its_own(serving: Serving) -> None:
    others = [probed(CLASSIFIER, "finite_difference"), probed(REGRESSION, "monte_carlo")]
    async with serving(*others, measured_share=0) as client:
        for toy in others:
            for measure in (False, True):
                question = {"instances": toy.rows(1).tolist(), "model": toy.name, "measure": measure}
                answer = (await client.post("/predict", json=question)).json()
                assert PredictionAnswer.model_validate(answer).model_dump(mode="json", exclude_unset=True) == answer
                assert (answer["predictions"][0]["stability"]["verdict"] == "not_computed") == (not measure)
