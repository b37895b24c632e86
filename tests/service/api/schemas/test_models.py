"""Real lists of models and their windows have the documented shape."""

import httpx
import pytest

from chainzrule.service.api.schemas.models import ModelList, StabilityAnswer
from tests.artifacts import ALL, CLASSIFIER
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio


async def test_the_list_is_said_whole(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/models")).json()
    assert ModelList.model_validate(answer).model_dump(mode="json") == answer


async def test_versions_that_failed_are_of_the_same_shape(serving: Serving) -> None:
    async with serving(CLASSIFIER, CLASSIFIER.with_graph("model", b"no graph")) as client:
        answer = (await client.get("/models")).json()
        found = ModelList.model_validate(answer)
        assert found.model_dump(mode="json") == answer
        assert [(one.state, one.task) for one in found.models[0].versions] == [
            ("FAILED", None),
            ("READY", "classification"),
        ]


async def test_windows_are_said_whole(client: httpx.AsyncClient, serving: Serving) -> None:
    for toy in ALL:
        answer = (await client.get(f"/models/{toy.name}/stability")).json()
        assert StabilityAnswer.model_validate(answer).model_dump(mode="json") == answer
    async with serving(CLASSIFIER, window_minimum_rows=1) as filled:
        await filled.post("/predict", json={"instances": CLASSIFIER.rows(5).tolist()})
        answer = (await filled.get("/models/toy/stability")).json()
        found = StabilityAnswer.model_validate(answer)
        assert found.model_dump(mode="json") == answer
        assert (found.window.samples, found.window.gradient_tail_ratio is None) == (5, False)
