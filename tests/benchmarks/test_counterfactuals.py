"""`benchmarks.counterfactuals` on few rows: what is measured is what the service confirms, and the report shows it."""

import argparse

import pytest

from benchmarks.counterfactuals.__main__ import run, summary
from benchmarks.counterfactuals.report import table

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_the_service_is_asked_and_asked_again() -> None:
    pytest.importorskip("sklearn")
    found = await run(argparse.Namespace(only=["breast-cancer", "diabetes"], rows=2, dice=None))
    assert [result["model"] for result in found] == ["breast-cancer", "diabetes"]
    for result in found:
        usual, sparse = result["ways"]["ChainzRule"], result["ways"]["ChainzRule, sparse"]
        assert usual["valid"] == usual["found"] == sparse["valid"] == 1.0
        assert usual["bracket"][0] >= 1.0
        assert sparse["features"] < usual["features"]
        assert sparse["over_ours"] >= 1.0
    assert "| breast-cancer | 2 | ChainzRule | 100% | 100% |" in table(found)


def test_a_summary_is_of_the_rows_that_both_found() -> None:
    def row(distance: float | None, **facts: float) -> dict[str, object]:
        found = distance is not None
        return {
            "answers": 2,
            "valid": int(found),
            "distance": distance,
            "features": 1 if found else None,
            "certified": None,
            "milliseconds": 4.0,
            **facts,
        }

    own, other = [row(1.0), row(2.0), row(None)], [row(3.0), row(None), row(5.0)]
    found = summary(other, own)
    assert (found["over_ours"], found["distance"], found["valid"], found["bracket"]) == (3.0, 4.0, 2 / 6, None)
    assert summary(own, own)["over_ours"] is None
