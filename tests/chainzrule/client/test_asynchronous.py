"""The asynchronous client asks and answers as the other does."""

import asyncio
import inspect

import pytest

from chainzrule.client import AsyncClient, Client, Refused

pytestmark = pytest.mark.anyio
PATIENT = [59, "2", 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def methods(kind: type) -> dict[str, inspect.Signature]:
    found = inspect.getmembers(kind, inspect.isfunction)
    return {
        name: inspect.signature(method) for name, method in found if not name.startswith("_") and "close" not in name
    }


def test_both_clients_take_the_same() -> None:
    assert methods(AsyncClient) == methods(Client)
    assert inspect.signature(AsyncClient).parameters == inspect.signature(Client).parameters


async def test_answers_are_the_other_clients(shipped_server: str) -> None:
    async with AsyncClient(shipped_server, timeout=60) as client:
        rows = await asyncio.gather(*(client.predict([PATIENT], "diabetes") for _ in range(20)))
        explained = await client.explain([PATIENT], "diabetes")
        certified = await client.certify([PATIENT], "diabetes")
        inferred = await client.infer([[0.0] * 784], "digits")
        assert await client.ready()
        names = [model["name"] for model in await client.models()]
        stability, card = await client.stability("diabetes"), await client.model("diabetes")
        with pytest.raises(Refused):
            await client.predict([[1]], "diabetes")
    with Client(shipped_server, timeout=60) as other:
        value = other.predict([PATIENT], "diabetes")[0].value
        assert [row[0].value for row in rows] == [pytest.approx(value)] * 20  # rows may share a run
        assert explained[0].sensitivities == other.explain([PATIENT], "diabetes")[0].sensitivities
        assert certified[0].certificate == other.certify([PATIENT], "diabetes")[0].certificate
        assert inferred["label"].tolist() == other.infer([[0.0] * 784], "digits")["label"].tolist()
        assert names == [model["name"] for model in other.models()]
    assert stability["model"] == card["name"] == "diabetes"
