"""The door lets in whom the API lets in, bounds what they hold, counts them, and has a status for every error."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from chainzrule.service.api.access.scopes import OBSERVE, PREDICT
from chainzrule.service.api.access.tokens import line_of
from tests.artifacts import CLASSIFIER

pytest.importorskip("grpc")

from tests.service.grpc.calls import REQUEST, STREAMED, Caller, calling, raw, refused
from tests.service.grpc.fuzzer import fuzz

pytestmark = pytest.mark.anyio
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
LABEL = re.compile(r'(\w+)="([^"]*)"')
ROW = raw("toy", [[1, 2]])


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def test_tokens_permit_what_they_say(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{line_of('p', 'clinic', PREDICT)}\n{line_of('o', 'operators', OBSERVE)}\n")
    async with calling(tmp_path / "models", CLASSIFIER, token_file=file) as caller:
        assert (await caller.ask("ModelInfer", bearer("p"), **ROW)).outputs
        assert (await caller.ask("ServerMetadata", bearer("p"))).name
        assert (await caller.ask("RepositoryIndex", bearer("o"))).models
        assert (await caller.ask("ServerReady")).ready  # as /v2/health/ready
        assert await caller.health() == 1
        for method, content in (("ModelInfer", ROW), ("ServerMetadata", {}), ("ModelReady", {"name": "toy"})):
            with refused("UNAUTHENTICATED", "Bearer"):
                await caller.ask(method, **content)
        with refused("UNAUTHENTICATED", "not valid"):
            await caller.ask("ModelInfer", bearer("wrong"), **ROW)
        with refused("PERMISSION_DENIED", "predict"):
            await caller.ask("ModelInfer", bearer("o"), **ROW)
        with refused("PERMISSION_DENIED", "observe"):
            await caller.ask("ModelStatistics", bearer("p"))
        with refused("UNAUTHENTICATED"):
            await caller.channel.stream_stream(STREAM)(timeout=60).read()


async def test_wrong_tokens_are_slowed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("right")
    async with calling(tmp_path / "models", CLASSIFIER, token_file=file) as caller:
        for _ in range(10):
            with refused("UNAUTHENTICATED"):
                await caller.ask("ServerMetadata", bearer("wrong"))
        with refused("RESOURCE_EXHAUSTED") as caught:
            await caller.ask("ServerMetadata", bearer("wrong"))
        assert int(dict(iter(caught.value.trailing_metadata()))["grpc-retry-pushback-ms"]) >= 1000


async def test_clients_pay_for_their_rows(tmp_path: Path) -> None:
    async with calling(tmp_path, CLASSIFIER, client_rows_per_second=0.001) as caller:
        await caller.ask("ModelInfer", **ROW)
        with refused("RESOURCE_EXHAUSTED", "rows a second"):
            await caller.ask("ModelInfer", **ROW)
        stream = caller.channel.stream_stream(STREAM)(timeout=60)
        with refused("RESOURCE_EXHAUSTED"):
            await stream.read()


async def test_bytes_are_held_within_the_budget_of_all_requests(tmp_path: Path) -> None:
    async with calling(tmp_path, CLASSIFIER, max_body_bytes=2**15, max_held_bytes=2**17) as caller:
        budget = caller.app.context.reading.budget
        await caller.ask("ModelInfer", **ROW)
        assert (budget.held, budget.peak > 0) == (0, True)
        budget.held += budget.limit
        with refused("UNAVAILABLE", "bytes"):
            await caller.ask("ModelInfer", **ROW)
        budget.held -= budget.limit
        with refused("INVALID_ARGUMENT", "raw_input_contents"):  # what it would hold once it is read
            await caller.ask("ModelInfer", id="x" * 2**14, **ROW)
        assert budget.held == 0
        assert (await caller.ask("ModelInfer", **ROW)).outputs


async def test_only_so_many_streams_are_open(tmp_path: Path) -> None:
    async with calling(tmp_path, CLASSIFIER, max_body_bytes=2**20, max_held_bytes=2**22) as caller:
        streams = []
        for _ in range(3):
            stream = caller.channel.stream_stream(STREAM)(timeout=60)
            await stream.write(REQUEST(**ROW).SerializeToString())
            assert STREAMED.FromString(await stream.read()).infer_response.outputs
            streams.append(stream)
        with refused("UNAVAILABLE", "at most 3 streams"):
            await caller.channel.stream_stream(STREAM)(timeout=60).read()
        streams[0].cancel()
        for _ in range(1000):
            one = caller.channel.stream_stream(STREAM)(timeout=60)
            try:
                await one.write(REQUEST(**ROW).SerializeToString())
                assert STREAMED.FromString(await one.read()).infer_response.outputs
                break
            except Exception:
                await asyncio.sleep(0.02)
        else:
            raise AssertionError("no stream could be opened again")
        for stream in (*streams, one):
            stream.cancel()


async def test_idle_streams_are_ended(tmp_path: Path) -> None:
    async with calling(tmp_path, CLASSIFIER, keep_alive_seconds=1) as caller:
        with refused("DEADLINE_EXCEEDED", "idle"):
            await caller.channel.stream_stream(STREAM)(timeout=60).read()


async def test_calls_are_counted_by_method_and_by_the_status_they_have_by_http(tmp_path: Path) -> None:
    async with calling(tmp_path, CLASSIFIER) as caller:
        await caller.ask("ModelInfer", **ROW)
        with refused("NOT_FOUND"):
            await caller.ask("ModelInfer", **{**ROW, "model_name": "nobody"})
        with refused("INVALID_ARGUMENT"):
            await caller.send(b"\xff")
        text = (await caller.http.get("/metrics")).text
        found = {
            dict(LABEL.findall(line))["code"]: float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("chainzrule_request_duration_seconds_count") and 'method="GRPC"' in line
        }
        assert found == {"200": 1, "404": 1, "400": 1}
        assert 'route="/inference.GRPCInferenceService/ModelInfer"' in text
        assert 'chainzrule_rejected_requests_total{reason="unknown-model"} 1.0' in text
        assert "chainzrule_requests_in_progress 1.0" in text  # the scrape itself


async def test_what_fails_unexpectedly_is_in_the_log_alone(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("s3cret")

    monkeypatch.setattr(caller.app.context.catalog, "resolve", fail)
    with refused("INTERNAL", "request id") as caught:
        await caller.ask("ModelInfer", **ROW)
    assert "s3cret" not in caught.value.details()
    assert "s3cret" in caplog.text


async def test_large_messages_about_little_are_refused(caller: Caller) -> None:
    with refused("INVALID_ARGUMENT", "at most"):
        await caller.ask("ModelReady", name="x" * 2**15)


async def test_malformed_messages(caller: Caller) -> None:
    statuses = await fuzz(caller, seed=1, cases=1500)
    assert statuses.keys() <= {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}
    assert min(statuses["OK"], statuses["INVALID_ARGUMENT"]) > 100


@pytest.mark.slow
async def test_very_many_malformed_messages(caller: Caller) -> None:
    statuses = await fuzz(caller, seed=2, cases=100_000)
    assert sum(statuses.values()) == 100_000
