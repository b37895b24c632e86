"""KServe's first protocol answers what our own routes answer, with the model in the path."""

from typing import Any

import httpx
import pytest

from tests.artifacts import ALL, MIXED, Toy

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("toy", [toy for toy in ALL if toy is not MIXED], ids=lambda toy: toy.name)
async def test_questions_are_answered_as_by_our_own_routes(client: httpx.AsyncClient, toy: Toy) -> None:
    rows = toy.rows(3).tolist()
    for verb, path in (("predict", "/predict"), ("explain", "/sensitivity")):
        answer = await client.post(f"/v1/models/{toy.name}:{verb}", json={"instances": rows})
        assert answer.status_code == 200, answer.text
        assert answer.json() == (await client.post(path, json={"model": toy.name, "instances": rows})).json()


async def test_models_are_listed_and_ready(client: httpx.AsyncClient) -> None:
    assert set((await client.get("/v1/models")).json()["models"]) == {toy.name for toy in ALL}
    assert (await client.get("/v1/models/toy")).json() == {"name": "toy", "ready": True}
    assert (await client.get("/v1/models/toy/")).status_code == 200
    response = await client.get("/v1/models/nobody")
    assert (response.status_code, response.json()["type"]) == (404, "urn:chainzrule:problem:unknown-model")


@pytest.mark.parametrize(
    ("path", "question", "status"),
    [
        ("toy:predict", {"instances": [[1, 2]], "model": "binary"}, 422),
        ("toy:predict", {"instances": [[1, 2]], "model": "toy"}, 200),
        ("toy:predict", {"instances": [[1]]}, 422),
        ("nobody:predict", {"instances": [[1, 2]]}, 404),
        ("toy:explain", {"instances": [[1, 2]], "model": "binary"}, 422),
        ("toy:guess", {"instances": [[1, 2]]}, 405),
    ],
)
async def test_what_is_wrong_is_refused(client: httpx.AsyncClient, path: str, question: Any, status: int) -> None:
    assert (await client.post(f"/v1/models/{path}", json=question)).status_code == status
