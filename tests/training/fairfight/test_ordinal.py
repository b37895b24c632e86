"""The fair fight on ordered levels of texts: a tiny data folder in the real formats."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chainzrule.training.commandline import main
from chainzrule.training.fairfight import classical
from chainzrule.training.fairfight.methods import METHODS
from chainzrule.training.fairfight.plan import final, portraits, tuning
from chainzrule.training.fairfight.problems import load
from chainzrule.training.fairfight.trial import run


@pytest.mark.parametrize("method", [*METHODS, *classical.METHODS])
def test_every_method_learns_ordered_levels_and_is_measured(method: str, text_data: Path) -> None:
    settings = tuning("yelp5", method)[4].settings
    trial = replace(final("yelp5", method, settings)[0], epochs=12, batch=32, seed=1, rows=0)
    figures = run(trial, text_data)["figures"]
    assert figures["score"] > 0.4  # 0.2 by chance
    assert figures["mae"] < 1
    assert figures["kappa"] > 0.5
    if method != "boosting":
        assert 0 < figures["peak_p99"] <= figures["peak_max"]
        assert figures["attacked"] <= figures["score"] + 0.02


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("kan", "ode")])
def test_rivals_have_the_same_size(method: str, text_data: Path) -> None:
    trial = replace(final("yelp5", method, METHODS[method].grids["table"][0])[-1], epochs=1)
    assert run(trial, text_data)["parameters"] == pytest.approx(
        run(replace(trial, method="chainzrule"), text_data)["parameters"], rel=0.02
    )


def test_the_rows_are_the_files_own(text_data: Path) -> None:
    problem = load("yelp5", text_data, seed=7)
    assert [len(part[0]) for part in (problem.train, problem.validation, problem.test)] == [500, 150, 200]
    assert (problem.inputs, problem.scores, problem.levels) == (16, 4, 5)
    assert problem.train[0].mean(dim=0).abs().max() < 1e-5
    assert (problem.unordered.task, problem.unordered.scores) == ("classification", 5)


@pytest.mark.parametrize("method", ["chainzrule", "relu"])
def test_a_portrait_shows_every_hidden_layer(method: str, text_data: Path) -> None:
    [trial] = portraits("yelp5", method, tuning("yelp5", method)[0].settings)
    figures = run(replace(trial, epochs=1), text_data)["figures"]
    assert len(figures["layer_norms"]) == 2


def test_a_comparison_reports_the_distance_between_levels(text_data: Path, tmp_path: Path) -> None:
    arguments = ["compare", "--quick", "--problems", "yelp5", "--methods", "chainzrule,relu,linear"]
    arguments += ["--data", str(text_data), "--results", str(tmp_path / "results"), "--workers", "1"]
    assert main(arguments) == 0
    entries = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert {entry["method"] for entry in entries} == {"chainzrule", "relu", "linear"}
    assert all(0 < entry["mae_mean"] < 1 and 0.5 < entry["kappa_mean"] < 1 for entry in entries)
    assert "| mae | kappa | s |" in (tmp_path / "results" / "report.md").read_text()


def test_texts_without_vectors_are_refused(text_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text_data / "vectors.txt").unlink()
    assert main(["compare", "--problems", "yelp5", "--data", str(text_data)]) == 2
    assert "vectors.txt" in capsys.readouterr().err
