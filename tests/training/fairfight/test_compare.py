import json
from dataclasses import replace
from pathlib import Path

import pytest

from chainzrule.cli import main
from chainzrule.training.fairfight.plan import tuning
from chainzrule.training.fairfight.race import Results


def test_a_comparison_writes_its_report_and_takes_up_its_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", "--quick", "--problems", "breast-cancer", "--methods", "chainzrule,relu,linear"]
    arguments += ["--results", str(tmp_path), "--workers", "1"]
    assert main(arguments) == 0
    entries = json.loads((tmp_path / "summary.json").read_text())
    assert {entry["method"] for entry in entries} == {"chainzrule", "relu", "linear"}
    assert all(entry["score_mean"] > 0.85 and entry["metric"] == "accuracy" for entry in entries)
    assert "ChainzRule is the best" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "plots" / "breast-cancer.svg").stat().st_size > 1000
    before = (tmp_path / "results" / "breast-cancer.jsonl").read_bytes()
    with (tmp_path / "results" / "breast-cancer.jsonl").open("a") as stream:
        stream.write('{"cut off')
    assert main(arguments) == 0  # nothing is left to run
    results = Results(tmp_path / "results")
    assert (tmp_path / "results" / "breast-cancer.jsonl").read_bytes().startswith(before)
    assert len(results.by_key) == before.count(b"\n")
    trial = replace(tuning("breast-cancer", "relu")[0], seed=99)
    results.add(trial, {"figures": None})  # behind a line that was cut off
    assert trial.key in Results(tmp_path / "results").by_key


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
