"""Wrong tokens: each is counted, ten a minute are answered, and the log never has their text."""

import logging
from pathlib import Path

import pytest

from chainzrule.service.api.access.failures import ALLOWED, LINE_SECONDS, Failures
from chainzrule.service.errors import TooManyFailures, Unauthorized
from tests.artifacts import CLASSIFIER
from tests.service.api.access.test_buckets import Clock
from tests.service.api.refusals import assert_problem
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
ROW = {"instances": [[1.0, 2.0]]}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_address_has_ten_a_minute(clock: Clock) -> None:
    counted: list[int] = []
    failures = Failures(lambda: counted.append(1), clock=clock)
    for _ in range(ALLOWED):
        assert isinstance(failures.refusal("a"), Unauthorized)
    for _ in range(50):
        refused = failures.refusal("a")
        assert isinstance(refused, TooManyFailures)
        assert refused.retry_after == 6
    assert isinstance(failures.refusal("b"), Unauthorized)
    assert len(counted) == ALLOWED + 51
    clock.now += 6.0
    assert isinstance(failures.refusal("a"), Unauthorized)
    assert isinstance(failures.refusal("a"), TooManyFailures)
    clock.now += 60.0
    assert [type(failures.refusal("a")) for _ in range(11)] == [Unauthorized] * 10 + [TooManyFailures]


def test_lines_are_few_and_count_what_they_leave_out(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures(lambda: None, clock=clock)
    for number in range(1000):
        failures.refusal(f"192.0.2.{number % 256}")
    clock.now += LINE_SECONDS
    failures.refusal("192.0.2.1")
    lines = [(record.address, record.tokens) for record in caplog.records]  # type: ignore[attr-defined]
    assert lines == [("192.0.2.0", 1), ("192.0.2.1", 1000)]


@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_who_guesses_is_slowed_and_who_knows_is_not(
    serving: Serving, tmp_path: Path, routed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "token").write_text("right")
    caplog.set_level(logging.INFO)
    async with serving(CLASSIFIER, token_file=tmp_path / "token", routed=routed) as client:

        async def ask(token: str, path: str = "/predict") -> int:
            response = await client.post(path, json=ROW, headers={"Authorization": f"Bearer {token}"})
            assert response.headers["x-content-type-options"] == "nosniff"
            return response.status_code

        statuses = [await ask(f"s3cret{number}") for number in range(30)]
        assert statuses[:10] == [401] * 10
        assert set(statuses[11:]) == {429}
        refused = await client.post("/predict", json=ROW, headers={"Authorization": "Bearer s3cret"})
        assert_problem(refused, 429, "too-many-failures")
        assert 1 <= int(refused.headers["retry-after"]) <= 6
        assert await ask("s3cret", "/v2/models/toy/infer") == 429
        assert [await ask("right") for _ in range(5)] == [200] * 5
        assert (await client.get("/models")).status_code == 401  # who sends none only lacks it
        metrics = (await client.get("/metrics")).text
        assert "chainzrule_wrong_tokens_total 32.0" in metrics
        assert 'chainzrule_rejected_requests_total{reason="too-many-failures"}' in metrics
    (record,) = (record for record in caplog.records if record.name.endswith("failures"))
    assert (record.levelname, record.address) == ("WARNING", "127.0.0.1")  # type: ignore[attr-defined]
    assert not [record for record in caplog.records if "s3cret" in str(record.__dict__) and "chainzrule" in record.name]


async def test_behind_a_proxy_the_guessing_client_is_slowed_and_no_other(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("right")
    async with serving(CLASSIFIER, token_file=tmp_path / "token", trusted_proxies=("127.0.0.0/8",)) as client:

        async def ask(address: str) -> int:
            headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": address}
            return (await client.get("/models", headers=headers)).status_code

        assert {await ask("203.0.113.1") for _ in range(20)} == {401, 429}
        assert await ask("203.0.113.2") == 401
