"""What each client may have: rows before they run, milliseconds after, and 429 beyond."""

import asyncio
from pathlib import Path

import httpx
import pytest

from chainzrule.service.api.access.limits import ClientLimits
from chainzrule.service.api.access.scopes import ANY, PREDICT
from chainzrule.service.api.access.tokens import line_of
from chainzrule.service.errors import ClientLimited
from tests.artifacts import CLASSIFIER, SLOW
from tests.service.api.refusals import assert_problem
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
ROW = {"instances": [[1.0, 2.0]]}
TENSOR = {"inputs": [{"name": "features", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 1, 2]}]}


def rows(count: int) -> dict[str, object]:
    return {"instances": [[1.0, 2.0]] * count}


def from_address(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def test_without_a_limit_nothing_is_counted() -> None:
    limits = ClientLimits(0, 0)
    for _ in range(100):
        limits.admit("a")
        limits.charge_rows("a", 10**9)
        limits.charge_seconds("a", 1e9)


def test_rows_and_milliseconds_are_counted_apart() -> None:
    limits = ClientLimits(10, 0)
    limits.charge_seconds("a", 1e9)
    limits.charge_rows("a", 1000)
    with pytest.raises(ClientLimited, match="rows a second") as caught:
        limits.admit("a")
    assert caught.value.retry_after in (99, 100)
    with pytest.raises(ClientLimited):
        limits.charge_rows("a", 1)
    limits.admit("b")
    limits = ClientLimits(0, 10)
    limits.charge_rows("a", 10**9)
    limits.charge_seconds("a", 1.0)
    with pytest.raises(ClientLimited, match="milliseconds of model runs a second") as caught:
        limits.admit("a")
    assert caught.value.retry_after in (99, 100)


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_a_client_that_sent_too_many_rows_waits_and_others_do_not(serving: Serving, routed: bool) -> None:
    settings = {"client_rows_per_second": 2, "trusted_proxies": ("127.0.0.1",)}
    async with serving(CLASSIFIER, routed=routed, **settings) as client:
        greedy, modest = from_address("203.0.113.1"), from_address("203.0.113.2")
        assert (await client.post("/predict", json=rows(1000), headers=greedy)).status_code == 200
        for method, path, content in (
            ("POST", "/predict", ROW),
            ("POST", "/sensitivity", ROW),
            ("GET", "/sensitivity?x=1,2", None),
            ("POST", "/predict", {"not": "even read"}),
        ):
            refused = await client.request(method, path, json=content, headers=greedy)
            assert_problem(refused, 429, "client-limited")
            assert 400 < int(refused.headers["retry-after"]) <= 500
        refused = await client.post("/v2/models/toy/infer", json=TENSOR, headers=greedy)
        assert (refused.status_code, "error" in refused.json()) == (429, True)
        assert "retry-after" in refused.headers
        for path in ("/models", "/healthz", "/v2/models/toy", "/metrics"):  # these run nothing
            assert (await client.get(path, headers=greedy)).status_code == 200, path
        assert (await client.post("/predict", json=ROW, headers=modest)).status_code == 200
        metrics = (await client.get("/metrics")).text
        assert 'chainzrule_rejected_requests_total{reason="client-limited"} 5.0' in metrics


@pytest.mark.parametrize(
    ("method", "path", "content", "count"),
    [
        ("POST", "/predict", rows(7), 7),
        ("POST", "/sensitivity", rows(7), 7),
        ("GET", "/sensitivity?x=1,2", None, 1),
        ("POST", "/v2/models/toy/infer", TENSOR, 2),
    ],
)
async def test_every_row_counts_once(serving: Serving, method: str, path: str, content: object, count: int) -> None:
    async with serving(CLASSIFIER, client_rows_per_second=0.001) as client:
        assert (await client.request(method, path, json=content)).status_code == 200
        refused = await client.post("/predict", json=ROW)
        assert refused.status_code == 429
        assert count * 1000 - 20 < int(refused.headers["retry-after"]) <= count * 1000  # one was there at first


async def test_what_is_refused_anyway_costs_no_rows(serving: Serving) -> None:
    async with serving(CLASSIFIER, client_rows_per_second=0.001, max_rows=10) as client:
        for content in ({}, rows(11), {"instances": "x"}):
            assert (await client.post("/predict", json=content)).status_code in (413, 422)
        assert (await client.post("/predict", json=ROW)).status_code == 200
        assert (await client.post("/predict", json=ROW)).status_code == 429


async def test_requests_that_came_together_are_counted_together(serving: Serving) -> None:
    """All are let in while their bodies are on the way; only the first may have its rows."""
    async with serving(CLASSIFIER, client_rows_per_second=0.001) as client:
        arrived = 0
        everybody = asyncio.Event()

        async def body():  # type: ignore[no-untyped-def]
            nonlocal arrived
            yield b'{"instances": '
            arrived += 1
            if arrived == 5:
                everybody.set()
            await everybody.wait()
            yield b"[[1.0, 2.0]]}"

        json = {"Content-Type": "application/json"}
        answers = await asyncio.gather(*(client.post("/predict", content=body(), headers=json) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 429, 429, 429, 429]


async def test_milliseconds_are_those_of_the_models_runs(serving: Serving) -> None:
    async with serving(SLOW, CLASSIFIER, client_milliseconds_per_second=0.01, default_model="slow") as client:
        slow = await client.post("/predict", json={"instances": [[1e5, 1.0]]})
        assert slow.status_code == 200
        refused = await client.post("/predict", json={**ROW, "model": "toy"})
        assert_problem(refused, 429, "client-limited")
        (statistics,) = (await client.get("/v2/models/slow/stats")).json()["model_stats"]
        milliseconds = statistics["inference_stats"]["compute_infer"]["ns"] / 1e6
        assert int(refused.headers["retry-after"]) == pytest.approx(milliseconds * 100, rel=0.05, abs=101)


async def test_who_leaves_pays_all_the_same(serving: Serving) -> None:
    async with serving(SLOW, client_milliseconds_per_second=0.001, inline_milliseconds=0) as client:
        engine = client.app.context.catalog.resolve("slow", None)._predictions  # type: ignore[attr-defined]
        asking = asyncio.create_task(client.post("/predict", json={"instances": [[1e5, 1.0]]}))
        while not engine._busy:
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        while engine._busy:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert (await client.post("/predict", json=ROW)).status_code == 429


async def test_requests_of_one_run_share_its_time(serving: Serving) -> None:
    paid: dict[str, float] = {}
    settings = {"client_milliseconds_per_second": 1000, "trusted_proxies": ("127.0.0.1",)}
    async with serving(CLASSIFIER, inline_milliseconds=1000, **settings) as client:
        limits = client.app.exchange._access._limits  # type: ignore[attr-defined]
        limits.charge_seconds = lambda who, seconds: paid.update({who: paid.get(who, 0.0) + seconds})
        asked = [
            client.post("/predict", json=rows(count), headers=from_address(f"203.0.113.{count}")) for count in (1, 3)
        ]
        assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200, 200]
        assert set(paid) == {"203.0.113.1", "203.0.113.3"}
        (statistics,) = (await client.get("/v2/models/toy/stats")).json()["model_stats"]
        ran = sum(batch["compute_infer"]["ns"] for batch in statistics["batch_stats"]) / 1e9
        assert sum(paid.values()) == pytest.approx(ran, rel=1e-3)
        if statistics["execution_count"] == 1:
            assert paid["203.0.113.3"] == pytest.approx(3 * paid["203.0.113.1"])


async def test_with_tokens_the_name_counts_and_not_the_address(serving: Serving, tmp_path: Path) -> None:
    lines = [line_of("one", "clinic", PREDICT), line_of("two", "clinic", PREDICT), line_of("three", "shop", ANY)]
    (tmp_path / "tokens").write_text("\n".join(lines))
    async with serving(CLASSIFIER, token_file=tmp_path / "tokens", client_rows_per_second=0.001) as client:

        async def ask(token: str) -> httpx.Response:
            return await client.post("/predict", json=ROW, headers={"Authorization": f"Bearer {token}"})

        assert [(await ask(token)).status_code for token in ("one", "one", "two", "three", "three")] == [
            *(200, 429, 429),  # both tokens are the clinic's
            *(200, 429),
        ]
