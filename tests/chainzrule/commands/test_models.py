"""`chainzrule models`: what a repository holds, and whether the service would serve it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from chainzrule.cli import main
from tests.artifacts import BINARY, CLASSIFIER, MIXED, REGRESSION, probed
from tests.service.conftest import serve


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sound versions, and one for every way to be broken."""
    CLASSIFIER.publish(tmp_path)
    MIXED.publish(tmp_path)
    probed(REGRESSION, "finite_difference").publish(tmp_path)
    damaged = replace(CLASSIFIER, seed=3).publish(tmp_path)
    (damaged / "model.onnx").write_bytes(b"damaged")
    (tmp_path / "binary" / "1").mkdir(parents=True)
    BINARY.with_graph("model", CLASSIFIER.graphs["model"]).write(tmp_path, "2")
    os.utime(tmp_path / "toy" / "1" / "card.json", (0, 1_700_000_000))
    return tmp_path


def test_every_version_is_listed_with_what_it_is(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--models", str(root)]) == 1
    printed = capsys.readouterr().out
    header, *lines = printed.splitlines()
    columns = ["model", "version", "task", "method", "features", "parameters", "size", "made", "loads"]
    assert header.split() == columns
    rows = [line.split()[:5] for line in lines[:6]]
    assert rows == [
        ["amount-finite_difference", "1", "regression", "finite_difference", "2"],
        ["binary", "2", "?", "?", "?"],
        ["binary", "1", "?", "?", "?"],
        ["mixed", "1", "classification", "analytic", "4"],
        ["toy", "2", "?", "?", "?"],
        ["toy", "1", "classification", "analytic", "2"],
    ]
    assert [line.split()[-1] for line in lines[:6]] == ["yes", "NO", "NO", "yes", "NO", "yes"]
    assert "2023-11-14 22:13:20" in lines[5]
    reasons = printed.split("\n\n")[1:]
    assert [reason.partition(":")[0] for reason in reasons] == ["binary version 2", "binary version 1", "toy version 2"]
    assert "model.onnx: must" in reasons[0] or "model.onnx: " in reasons[0]
    assert "card.json: is missing" in reasons[1]
    assert "model.onnx: its sha256 is not the card's" in reasons[2]


@pytest.mark.anyio
async def test_json_says_the_same_and_the_service_agrees(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--models", str(root), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    by_version = {(one["model"], one["version"]): one for one in found}
    async with serve(root, keep_versions=10) as client:
        for model in (await client.get("/models")).json()["models"]:
            for served in model["versions"]:
                listed = by_version.pop((model["name"], served["version"]))
                assert listed["loads"] == (served["state"] == "READY")
                assert listed["reason"].endswith(served.get("reason") or "")
    assert not by_version
    sound = next(one for one in found if (one["model"], one["version"]) == ("toy", "1"))
    size = sum(path.stat().st_size for path in (root / "toy" / "1").iterdir())
    assert sound == {
        "model": "toy",
        "version": "1",
        "bytes": size,
        "made": "2023-11-14T22:13:20+00:00",
        "loads": True,
        "reason": "",
        "task": "classification",
        "method": "analytic",
        "features": 2,
        "parameters": 10,
    }


def test_a_sound_repository_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CLASSIFIER.publish(tmp_path)
    assert main(["models", "--models", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_an_empty_repository_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--models", str(tmp_path)]) == 0
    assert "holds no models" in capsys.readouterr().out
    assert main(["models", "--models", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_what_is_no_repository_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--models", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'none'}: No such file or directory\n"


def test_what_is_passed_over_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CLASSIFIER.publish(tmp_path)
    (tmp_path / "toy" / "v2").mkdir()
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "card.json").write_text("{}")
    assert main(["models", "--models", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert sorted(line.split(": ")[1] for line in printed.err.splitlines()) == ["loose/card.json", "toy/v2"]
