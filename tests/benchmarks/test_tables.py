"""The suite of tables: what is named can be read, every contender is scored on one split, and losses are named."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.tables import contest
from benchmarks.tables.report import normalised, report
from benchmarks.tables.suite import SUITE, Folders, table


def content(ours: list[float], rival: list[float]) -> dict[str, Any]:
    splits = [
        {
            "seed": seed,
            "contenders": {
                "ChainzRule": {"log_loss": own, "accuracy": 0.5, "seconds": 1.0},
                "LightGBM": {"log_loss": other, "accuracy": 0.5, "seconds": 3.0},
            },
        }
        for seed, (own, other) in enumerate(zip(ours, rival, strict=True))
    ]
    return {"seeds": len(ours), "tables": {"t": {"task": "classification", "rows": 100, "splits": splits}}}


def test_what_is_lost_is_named_and_the_best_is_bold() -> None:
    lost = report(content([0.5, 0.6], [0.3, 0.35]))
    assert "* t: to LightGBM, by 0.225" in lost
    assert "**0.325 ± 0.025**" in lost
    won = report(content([0.3, 0.35], [0.5, 0.6]))
    assert "* nothing beyond two standard errors" in won


def test_scores_are_between_the_worst_and_the_best_of_a_split() -> None:
    found = normalised(content([0.5, 0.2], [0.3, 0.4])["tables"], ["ChainzRule", "LightGBM"])
    assert found == {"ChainzRule": {"t": 0.5}, "LightGBM": {"t": 0.5}}


def test_twenty_tables_are_named_and_those_of_scikit_learn_need_no_package() -> None:
    assert len(SUITE) == 20
    frame = table("wine", Folders(None, None))
    assert frame is not None
    assert frame.shape == (178, 14)
    assert table("german", Folders(None, None)) is None


def test_a_keel_file_is_read_with_its_gaps_and_numbers(tmp_path: Path) -> None:
    (tmp_path / "balanced" / "raw").mkdir(parents=True)
    lines = "@relation heart\n@data\n" + "1.5, a, yes\n?, b, no\n2, <null>, yes\n"
    (tmp_path / "balanced" / "raw" / "heart.dat").write_text(lines)
    frame = table("heart", Folders(tmp_path, None))
    assert frame is not None
    assert list(frame.columns) == ["c0", "c1", "target"]
    assert frame["c0"].isna().tolist() == [False, True, False]
    assert frame["c0"].dtype == float
    assert frame["c1"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_contender_is_scored_on_rows_that_it_has_not_seen(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "SMALL", 0)  # trying settings is tested where it is done
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=120), "b": random.choice(["x", "y"], 120)})
    effect = frame["a"] + (frame["b"] == "x") + random.normal(0, 0.3, 120)
    frame["target"] = effect if task == "regression" else np.where(effect > 0.5, "hi", "lo")
    found = contest.contend(frame, "target", task, seed=0)
    assert set(found) == set(contest.CONTENDERS)
    for figures in found.values():
        assert figures["r2" if task == "regression" else "accuracy"] > 0.6
        assert figures["seconds"] >= 0
