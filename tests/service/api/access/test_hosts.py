"""The Host header: which names are the server's own, and that probes and proxies get through."""

import httpx
import pytest

from chainzrule.service.api.access.hosts import Hosts, names_beside
from tests.artifacts import CLASSIFIER
from tests.processes import ROOT, service
from tests.service.api.refusals import assert_problem
from tests.service.api.test_exchange import call
from tests.service.conftest import Serving

ROW = {"instances": [[1.0, 2.0]]}
RIGHT = (
    "predict.example.com",
    "Predict.Example.COM:8000",
    "predict.example.com.",
    "a.wide.example.com",
    "a.b.wide.example.com",
)
ADDRESSES = ("127.0.0.1", "10.1.2.3:8000", "[::1]", "[::1]:8000", "[2001:db8::1]:80")
WRONG = (
    "evil.example", "example.com", "xpredict.example.com", "predict.example.com.evil.example", "wide.example.com",
    "evilwide.example.com", "localhost", "", " ", ":8000", "predict.example.com@evil.example", "[predict.example.com",
    "127.0.0.1.evil.example", "0x7f.1", "2130706433",
)  # fmt: skip


def test_names_are_the_servers_own_or_not() -> None:
    hosts = Hosts(("predict.example.com", "*.wide.example.com"))
    for _ in range(2):  # also the second time, when they are known
        for host in (*RIGHT, *ADDRESSES):
            assert hosts.take(host), host
        for host in WRONG:
            assert not hosts.take(host), host
    assert hosts.take(None)
    assert Hosts(("*",)).take("anything")


def test_what_is_remembered_does_not_grow() -> None:
    hosts = Hosts(("*.example.com",))
    for number in range(10_000):
        assert hosts.take(f"{number}.example.com")
    assert len(hosts._right) <= 256


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_the_names_are_known(host: str) -> None:
    hosts = Hosts(names_beside(host) or ())
    for right in ("localhost", "localhost:8000", "LOCALHOST", "app.localhost:1", "127.0.0.1:8000", "[::1]:8000"):
        assert hosts.take(right), right
    assert not hosts.take("evil.example")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.1.2.3", "predict.example.com"])
def test_elsewhere_they_are_not(host: str) -> None:
    assert names_beside(host) is None


@pytest.mark.anyio
@pytest.mark.parametrize("routed", [False, True], ids=["hot", "routed"])
async def test_what_was_meant_for_another_name_is_refused(serving: Serving, routed: bool) -> None:
    async with serving(
        CLASSIFIER, routed=routed, allowed_hosts=("predict.example.com",), cors_origins=("*",)
    ) as client:
        for host in ("evil.example", "evil.example:8000"):
            for method, path, content in (
                ("POST", "/predict", ROW), ("GET", "/models", None), ("GET", "/healthz", None), ("GET", "/", None),
                ("GET", "/nowhere", None), ("OPTIONS", "/predict", None),
            ):  # fmt: skip
                headers = {"Host": host, "Origin": "http://evil.example"}
                response = await client.request(method, path, json=content, headers=headers)
                assert_problem(response, 421, "misdirected", "Host")
                assert "evil" not in response.text
                assert response.headers["access-control-allow-origin"] == "*"
                assert response.headers["x-content-type-options"] == "nosniff"
        for host in ("predict.example.com", "10.1.2.3:8000", "[::1]:8000"):
            assert (await client.post("/predict", json=ROW, headers={"Host": host})).status_code == 200
        assert (await call(client.app, headers=[]))[0]["status"] == 200  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_an_application_that_another_server_runs_takes_any_name(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        assert (await client.get("/models", headers={"Host": "anything.example"})).status_code == 200


def test_the_command_takes_local_names_alone_unless_told_otherwise() -> None:
    evil = {"Host": "evil.example"}
    with service(ROOT / "models") as (address, _):
        assert httpx.get(f"{address}/models").status_code == 200
        assert httpx.get(f"{address}/models", headers={"Host": "localhost:1234"}).status_code == 200
        assert httpx.get(f"{address}/models", headers=evil).status_code == 421
    with service(ROOT / "models", "--allowed-hosts", "evil.example") as (address, _):
        assert httpx.get(f"{address}/models", headers=evil).status_code == 200
        assert httpx.get(f"{address}/models", headers={"Host": "other.example"}).status_code == 421
