"""The model configuration extension: what load generators ask before they begin."""

import httpx
import pytest

from tests.artifacts import ALL, MIXED, Toy
from tests.service.api.oip.messages import assert_error

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("version", ["", "/versions/1"])
@pytest.mark.parametrize("toy", ALL, ids=lambda toy: toy.name)
async def test_tensors_are_those_of_one_row(client: httpx.AsyncClient, toy: Toy, version: str) -> None:
    config = (await client.get(f"/v2/models/{toy.name}{version}/config")).json()
    metadata = (await client.get(f"/v2/models/{toy.name}")).json()
    assert (config["name"], config["max_batch_size"]) == (toy.name, 64)
    for kind, tensors in (("input", metadata["inputs"]), ("output", metadata["outputs"])):
        assert [[one["name"], one["dims"]] for one in config[kind]] == [
            [one["name"], one["shape"][1:]] for one in tensors
        ]


async def test_texts_have_another_name_here(client: httpx.AsyncClient) -> None:
    config = (await client.get(f"/v2/models/{MIXED.name}/config")).json()
    assert {one["data_type"] for one in config["input"]} == {"TYPE_FP32", "TYPE_STRING"}


async def test_an_unknown_model_is_not_found(client: httpx.AsyncClient) -> None:
    assert_error(await client.get("/v2/models/nobody/config"), 404, "no such model")
