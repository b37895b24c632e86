"""Results grouped, and each group as an entry."""

from typing import Any

import pytest

from chainzrule.training.fairfight.summary import groups, summary


def result(method: str, seed: int, score: float | None, problem: str = "breast-cancer", **trial: Any) -> dict[str, Any]:
    facts = {"problem": problem, "method": method, "hidden": [16, 16], "seed": seed, "stage": "test"}
    facts |= {"settings": {"strength": 1.0}, "epochs": 5, "batch": 32, "rows": 0}
    figures = None if score is None else {"score": score, "peak_p99": 10.0 * score, "mae": 1 - score}
    return {"trial": facts | trial, "figures": figures, "parameters": 100 + seed, "seconds": 2.0 * seed}


def test_runs_are_grouped_by_problem_method_size_and_settings() -> None:
    results = [
        result("relu", 1, 0.9, problem="mnist"),
        result("relu", 2, 0.8),
        result("relu", 1, 0.9),
        result("relu", 1, 0.7, hidden=[4, 4]),
        result("gelu", 1, 0.6),
        result("relu", 1, 0.5, settings={"strength": 2.0}),
        result("relu", 1, 0.1, stage="tune"),
        result("relu", 1, 0.2, stage="strength"),
    ]
    made = groups(results)
    found = [(group.problem, group.method, group.hidden, group.scores) for group in made]
    assert found == [
        ("breast-cancer", "relu", (4, 4), {1: 0.7}),
        ("breast-cancer", "relu", (16, 16), {1: 0.9, 2: 0.8}),
        ("breast-cancer", "gelu", (16, 16), {1: 0.6}),
        ("breast-cancer", "relu", (16, 16), {1: 0.5}),
        ("mnist", "relu", (16, 16), {1: 0.9}),
    ]
    (strength,) = groups(results, "strength")
    assert (strength.stage, strength.scores) == ("strength", {1: 0.2})


def test_an_entry_has_means_and_counts_what_diverged() -> None:
    (group,) = groups([result("relu", 1, 0.9), result("relu", 2, 0.8), result("relu", 3, None)])
    assert (group.diverged, group.parameters, group.figure("mae")) == (1, 102, pytest.approx({1: 0.1, 2: 0.2}))
    (entry,) = summary([group])
    assert (entry["dataset"], entry["method"], entry["metric"]) == ("breast-cancer", "relu", "accuracy")
    assert (entry["seeds"], entry["diverged"], entry["parameters"]) == (3, 1, 102)
    assert entry["score_mean"] == pytest.approx(0.85)
    assert entry["score_std"] == pytest.approx(0.1 / 2**0.5)
    assert entry["peak_p99_mean"] == pytest.approx(8.5)
    assert entry["noisy_mean"] is None  # belongs to every entry
    assert entry["mae_mean"] == pytest.approx(0.15)
    assert "kappa_mean" not in entry  # only where it was measured
    assert entry["seconds_mean"] == 4.0
    assert entry["config"] == {"hidden": [16, 16], "settings": {"strength": 1.0}, "epochs": 5, "batch": 32, "rows": 0}


def test_a_single_run_has_no_spread_and_none_has_no_score() -> None:
    single, none = summary([*groups([result("relu", 1, 0.9)]), *groups([result("relu", 1, None)])])
    assert (single["score_mean"], single["score_std"]) == (0.9, None)
    assert (none["score_mean"], none["score_std"], none["diverged"]) == (None, None, 1)
