"""One run of one method, and which runs are planned."""

from dataclasses import replace
from pathlib import Path

import pytest

from chainzrule.training.fairfight import classical
from chainzrule.training.fairfight.methods import METHODS
from chainzrule.training.fairfight.plan import final, portraits, tuning
from chainzrule.training.fairfight.race import Results
from chainzrule.training.fairfight.trial import REVISED, run
from tests.processes import ROOT


@pytest.mark.parametrize("method", [*METHODS, *classical.METHODS])
def test_every_method_learns_a_table_and_is_measured(method: str) -> None:
    settings = tuning("breast-cancer", method)[4].settings
    trial = replace(final("breast-cancer", method, settings)[0], epochs=15, seed=1)
    result = run(trial, None)
    figures = result["figures"]
    assert figures["score"] > 0.8
    assert 0 <= figures["corrupted"] <= 1
    if method != "boosting":
        assert 0 < figures["peak_p99"] <= figures["peak_max"]
        assert figures["attacked"] <= figures["score"] + 0.02
    assert result["seconds"] > 0


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("kan", "ode")])
def test_rivals_have_the_same_size(method: str) -> None:
    trial = replace(final("breast-cancer", method, METHODS[method].grids["table"][0])[-1], epochs=1)
    assert run(trial, None)["parameters"] == pytest.approx(
        run(replace(trial, method="chainzrule"), None)["parameters"], rel=0.02
    )


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
def test_rivals_for_ordered_levels_have_the_same_size(method: str, text_data: Path) -> None:
    trial = replace(final("yelp5", method, METHODS[method].grids["table"][0])[-1], epochs=1)
    assert run(trial, text_data)["parameters"] == pytest.approx(
        run(replace(trial, method="chainzrule"), text_data)["parameters"], rel=0.02
    )


@pytest.mark.parametrize("method", ["chainzrule", "relu"])
def test_a_portrait_shows_every_hidden_layer(method: str, text_data: Path) -> None:
    [trial] = portraits("yelp5", method, tuning("yelp5", method)[0].settings)
    figures = run(replace(trial, epochs=1), text_data)["figures"]
    assert len(figures["layer_norms"]) == 2


def test_the_same_trial_gives_the_same_figures() -> None:
    trial = replace(tuning("waves", "chainzrule")[0], epochs=1)
    assert run(trial, None)["figures"] == run(trial, None)["figures"]
    assert trial.key != replace(trial, seed=1).key


def test_a_trial_that_is_trained_otherwise_than_at_first_is_run_again() -> None:
    """Since the Fisher penalty over two labels is computed and not drawn; its earlier results are kept apart."""
    folder = ROOT / "benchmarks" / "fairfight" / "results"
    now, then = Results(folder).by_key, Results(folder / "superseded").by_key
    assert {(entry["trial"]["problem"], entry["trial"]["method"]) for entry in then.values()} == set(REVISED)
    assert not now.keys() & then.keys()
    tuned = {trial.key for problem, method in REVISED for trial in tuning(problem, method)}
    assert tuned <= now.keys()
    assert not tuned & then.keys()
    other = {trial.key for problem in ("breast-cancer", "mnist", "diabetes") for trial in tuning(problem, "relu")}
    assert other <= now.keys()
    assert {trial.key for trial in tuning("mnist", "chainzrule")} <= now.keys()
