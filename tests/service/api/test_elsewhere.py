"""Paths of other servers: where their answers are to be had here."""

import httpx
import pytest

from chainzrule.service.api.elsewhere import advice_for
from tests.service.api.refusals import question

pytestmark = pytest.mark.anyio

KNOWN = ("/predict", "/sensitivity", "/models", "/models/{name}", "/healthz", "/readyz", "/metrics")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/invocations", "POST /predict"),
        ("/predictions", "POST /predict"),
        ("/predictions/toy", "POST /v2/models/NAME/infer"),
        ("/v1/predict", "POST /predict"),
        ("/api/v1/predict", "POST /predict"),
        ("/v1/models/toy:predict", '{"model": NAME, "instances": [...]}'),
        ("/v1/models/toy/versions/3:predict", "POST /predict"),
        ("/v1/models/toy:explain", "POST /sensitivity"),
        ("/explain", "POST /sensitivity"),
        ("/v1/models", "GET /models"),
        ("/v1/models/toy", "GET /models/NAME"),
        ("/v1/models/toy/metadata", "GET /models/NAME"),
        ("/v2/models/toy/predict", "POST /v2/models/NAME/infer"),
        ("/models/toy/predict", "POST /v2/models/NAME/infer"),
        ("/ping", "GET /healthz"),
        ("/health", "GET /healthz"),
        ("/ready", "GET /readyz"),
        ("/swagger", "GET /docs"),
        ("/predcit", "did you mean /predict?"),
        ("/Metrics", "did you mean /metrics?"),
        ("/favicon.ico", "GET /docs lists the routes"),
        ("/" + "v1/" * 100_000 + "predict", "GET /docs lists the routes"),
    ],
    ids=lambda value: value[:40],
)
async def test_other_servers_paths_are_known(path: str, said: str) -> None:
    assert said in advice_for(path, KNOWN)


async def test_the_answer_to_a_path_that_is_not_there_says_where_to_go(client: httpx.AsyncClient) -> None:
    response = await client.post("/predictions/s3cret", json=question())
    assert response.status_code == 404
    assert "POST /v2/models/NAME/infer" in response.json()["detail"]
    assert "s3cret" not in response.text
    response = await client.post("/v2/models/s3cret/predict", json=question())
    assert response.status_code == 404
    assert "POST /v2/models/NAME/infer" in response.json()["error"]
    assert "did you mean /sensitivity?" in (await client.get("/sensitivty")).json()["detail"]
    assert (await client.get("/predict")).json()["detail"] == "this path takes POST"
