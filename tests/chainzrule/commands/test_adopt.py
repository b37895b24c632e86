"""`adopt` as a command: what it prints, and its exit codes."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from chainzrule.cli import main
from chainzrule.commands.adopt import METHODS, summary
from chainzrule.service.artifact.interface import Method
from chainzrule.service.artifact.keys import Keyring, PrivateKey
from chainzrule.service.artifact.store import read_artifact
from chainzrule.training.adopt.adopt import AdoptionReport
from tests.artifacts import CLASSIFIER
from tests.processes import ROOT
from tests.training.adopt.graphs import model

ARGUMENTS = ["adopt", "model.onnx", "--data", "sample.csv", "--target", "outcome", "--name", "waves", "--models", "out"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a model and its sample."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    graph = model(
        "s = Sin (x) y = MatMul (s, W)", "float[batch,3] x", "float[batch,1] y", {"W": np.ones((3, 1), np.float32)}
    )
    Path("model.onnx").write_bytes(graph.SerializeToString())
    frame = pd.DataFrame(x, columns=["length", "width", "depth"])
    frame.assign(outcome=np.sin(x).sum(axis=1) + 0.01).to_csv("sample.csv", index=False)
    pd.DataFrame({"value": np.sin(x.astype(np.float64)).sum(axis=1)}).to_csv("expected.csv", index=False)


def test_a_model_is_published_and_what_came_of_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    noise, unit = ["--noise", "width=0.25", "--noise", "depth=0"], ["--unit", "width=cm"]
    assert main([*ARGUMENTS, *noise, *unit, "--expected", "expected.csv", "--seed", "7"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == (
        "waves version 1: regression, method finite_difference (central differences: stability on request, and for a "
        "share of the traffic)"
    )
    assert printed[1] == "  note: no exact derivative: operator Sin has no derivative here"
    assert [line.split()[0] for line in printed[2:5]] == ["rmse", "mae", "r2"]
    assert float(printed[2].split()[1]) == pytest.approx(0.01, rel=1e-3)
    assert printed[5].startswith("  the source library's predictions are met within ")
    assert printed[6:] == ["  published to out/waves/1; serve it with:", "    chainzrule serve --models out"]
    card = (Path("out") / "waves" / "1" / "card.json").read_text()
    for part in ('"noise": 0.25', '"noise": 0.0', '"unit": "cm"', '"seed": 7'):
        assert part in card


def test_one_of_several_targets_is_chosen_by_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    weights = np.array([[0, 1], [0, 1], [0, 1]], np.float32)
    graph = model("s = Sin (x) y = MatMul (s, W)", "float[batch,3] x", "float[batch,2] y", {"W": weights})
    Path("model.onnx").write_bytes(graph.SerializeToString())
    assert main(ARGUMENTS) == 2
    assert "--which N serves the N-th alone" in capsys.readouterr().err
    assert main([*ARGUMENTS, "--which", "2", "--expected", "expected.csv"]) == 0
    assert read_artifact(Path("out/waves/1")).card.quality["rmse"] == pytest.approx(0.01, rel=1e-3)


def test_what_is_published_can_be_signed() -> None:
    key = PrivateKey.new()
    Path("key").write_bytes(key.pem)
    assert main([*ARGUMENTS, "--sign", "key"]) == 0
    path = Path("out") / "waves" / "1"
    digest = Keyring({key.public.id: key.public}).require_signature(path, "waves", "1")
    assert read_artifact(path, digest).card.name == "waves"


@pytest.mark.parametrize(("arguments", "said"), [
    (["--noise", "width"], "--noise width: give it as COLUMN=VALUE"),
    (["--unit", "width"], "--unit width: give it as COLUMN=VALUE"),
    (["--noise", "width=much"], "--noise width: must be a number in the column's unit"),
    (["--noise", "height=1"], "'height', which is no numeric feature"),
    (["--target", "outcom"], "no column is named 'outcom'"),
    (["--data", "none.csv"], "none.csv"),
    (["--expected", "none.csv"], "none.csv: cannot be read (FileNotFoundError)"),
    (["--task", "classification"], "say --task regression if the target is a quantity"),
    (["--models", "sample.csv"], "no model can be written there"),
    (["--name", "../waves"], "a model name has 1 to 64 letters"),
])  # fmt: skip
def test_a_refusal_takes_one_line_and_leaves_nothing_behind(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ARGUMENTS, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert {path.name for path in Path().iterdir()} <= {"model.onnx", "sample.csv", "expected.csv", "out"}
    assert not list(Path("out").glob("*"))


def test_arguments_that_do_not_exist_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([*ARGUMENTS, "--noises", "width=1"])
    assert done.value.code == 2
    assert "--noises" in capsys.readouterr().err


def test_every_method_is_explained() -> None:
    assert set(METHODS) == set(get_args(Method))


def test_nothing_is_said_of_predictions_that_nobody_gave() -> None:
    adoption = {"source_sha256": "0" * 64, "producer": "", "source_difference": 0.0, "obtained": {}}
    card = CLASSIFIER.card()
    card = card.model_validate(card.model_dump() | {"adoption": adoption})
    report = AdoptionReport(card, Path("out/toy/1"), ())
    lines = list(summary(report, Path("out")))
    assert not any("source library" in line or "note" in line for line in lines)
    assert any("note: it is so" in line for line in summary(replace(report, notes=("it is so",)), Path("out")))


def test_adopting_loads_no_torch() -> None:
    script = "import sys, chainzrule.commands.adopt; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
