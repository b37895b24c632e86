"""`/healthz`, `/readyz` and `/metrics`, and the documents."""

import asyncio
import shutil
import threading
from dataclasses import replace

import httpx
import pytest

from chainzrule.service.api.schemas.health import Readiness
from chainzrule.service.app import create_app
from tests.artifacts import BINARY, CLASSIFIER
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio


async def test_healthz(client: httpx.AsyncClient) -> None:
    response = await client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_ready_when_every_model_is(client: httpx.AsyncClient) -> None:
    response = await client.get("/readyz")
    content = Readiness.model_validate_json(response.content)
    assert response.status_code == 200
    assert (content.ready, content.draining, content.waiting_for) == (True, False, [])
    assert content.models["toy"] == {"1": {"state": "READY", "reason": None}}
    assert "chainzrule_ready 1.0" in (await client.get("/metrics")).text


async def test_a_model_that_was_never_ready_takes_no_replica_out(serving: Serving) -> None:
    broken = replace(BINARY, name="broken").with_graph("jacobian", b"garbage")
    async with serving(CLASSIFIER, broken) as client:
        response = await client.get("/readyz")
        content = Readiness.model_validate_json(response.content)
        assert response.status_code == 200
        assert (content.ready, content.waiting_for) == (True, [])
        assert content.models["broken"]["1"]["state"] == "FAILED"
        assert "jacobian.onnx" in str(content.models["broken"]["1"]["reason"])
        answer = await client.post("/predict", json={"instances": [[1.0, 2.0]], "model": "toy"})
        assert answer.status_code == 200


async def test_ready_when_the_required_models_are(serving: Serving) -> None:
    broken = replace(BINARY, name="broken").with_graph("jacobian", b"garbage")
    async with serving(CLASSIFIER, broken, required_models=("toy",)) as client:
        assert (await client.get("/readyz")).status_code == 200
    async with serving(required_models=("absent",)) as client:
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["waiting_for"]) == (503, ["absent"])


async def test_a_failed_newer_version_leaves_the_model_ready(serving: Serving) -> None:
    async with serving(CLASSIFIER, CLASSIFIER.with_graph("model", b"garbage")) as client:
        response = await client.get("/readyz")
        assert response.status_code == 200
        assert {v: e["state"] for v, e in response.json()["models"]["toy"].items()} == {"2": "FAILED", "1": "READY"}


async def test_an_empty_repository_is_not_ready(serving: Serving) -> None:
    async with serving() as client:
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["models"]) == (503, {})
        assert "chainzrule_ready 0.0" in (await client.get("/metrics")).text
        assert (await client.get("/healthz")).status_code == 200


async def test_an_unreadable_repository_is_not_ready_and_mends(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        app = client.app  # type: ignore[attr-defined]
        root = app.context.settings.models
    moved = root.rename(root.with_name("elsewhere"))
    async with app.router.lifespan_context(app):
        pass  # it starts all the same: what is loaded goes on
    app = create_app(app.context.settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client,
    ):
        assert (await client.get("/readyz")).status_code == 503
        moved.rename(root)
        await app.context.repository.refresh()
        assert (await client.get("/readyz")).status_code == 200
        assert "chainzrule_repository_unreadable 0.0" in (await client.get("/metrics")).text
        shutil.rmtree(root)
        await app.context.repository.refresh()
        assert (await client.get("/readyz")).status_code == 200
        assert "chainzrule_repository_unreadable 1.0" in (await client.get("/metrics")).text


async def test_draining_is_not_ready_and_still_answers(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        client.app.context.drain()  # type: ignore[attr-defined]
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["draining"] is True
        assert response.headers["connection"] == "close"
        response = await client.post("/predict", json={"instances": [[1.0, 2.0]]})
        assert response.status_code == 200
        assert response.headers["connection"] == "close"
        text = (await client.get("/metrics")).text
        assert "chainzrule_draining 1.0" in text
        assert "chainzrule_ready 0.0" in text


async def test_metrics_answer_in_both_formats(client: httpx.AsyncClient) -> None:
    plain = await client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE chainzrule_predictions_total counter" in plain.text
    accept = "application/openmetrics-text; version=1.0.0"
    opened = await client.get("/metrics", headers={"Accept": accept})
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert opened.text.endswith("# EOF\n")
    odd = await client.get("/metrics", headers={"Accept": "s3cret/\x7f;;;=,"})
    assert odd.status_code == 200


async def test_the_documents_answer(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["info"]["title"] == "ChainzRule"
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert (await client.get(path)).status_code == 404


async def test_probes_may_ask_with_head(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        for path in ("/healthz", "/readyz"):
            assert (await client.head(path)).status_code == 200
        exposition = (await client.get("/metrics")).text
        assert 'chainzrule_request_duration_seconds_count{code="200",method="HEAD",route="/healthz"} 1.0' in exposition


async def test_a_scrape_holds_nothing_up_and_is_compressed(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        writer, gate = client.app.context.writer, threading.Event()  # type: ignore[attr-defined]
        writer.submit(gate.wait, 60)
        scrape = asyncio.create_task(client.get("/metrics", headers={"Accept-Encoding": "gzip"}))
        card = asyncio.create_task(client.get("/models/toy"))
        await asyncio.sleep(0.05)
        assert (await client.get("/healthz")).status_code == 200
        assert not scrape.done()
        assert not card.done()
        gate.set()
        assert (await scrape).headers["content-encoding"] == "gzip"
        assert "chainzrule_ready 1.0" in (await scrape).text
        assert (await card).status_code == 200
