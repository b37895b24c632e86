from dataclasses import replace

import pytest

from chainzrule.training.fairfight import classical
from chainzrule.training.fairfight.methods import METHODS
from chainzrule.training.fairfight.plan import choose, final, other_strengths, quickened, tuning
from chainzrule.training.fairfight.race import Results
from chainzrule.training.fairfight.settings import Settings
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


def test_the_steadiest_of_the_good_settings_is_chosen() -> None:
    trials = tuning("breast-cancer", "relu")[:3]
    figures = [(0.980, 2.0), (0.9795, 1.0), (0.97, 0.1)]
    results = {
        trial.key: {"figures": {"score": score, "peak_p99": peak}}
        for trial, (score, peak) in zip(trials, figures, strict=True)
    }
    assert choose(trials, results, "accuracy") == trials[1].settings


def test_the_quick_plan_is_a_small_part_of_the_whole() -> None:
    whole = tuning("waves", "relu") + final("waves", "relu", METHODS["relu"].grids["function"][0])
    assert 0 < len(quickened(whole)) < len(whole) / 2


def test_narrow_networks_get_a_penalty_in_proportion_to_their_width() -> None:
    chosen = Settings(0.01, 0.1, 1.0)
    strengths = {trial.hidden: trial.settings.strength for trial in final("mnist", "chainzrule", chosen)}
    assert strengths == {(16, 16): 0.25, (32, 32): 0.5, (64, 64): 1, (96, 96): 1, (128, 128): 1, (256, 256): 1}
    assert {trial.settings.strength for trial in final("breast-cancer", "boosting", Settings(0.1, 0.0, 31))} == {31}


def test_other_strengths_are_of_our_method_on_images_around_the_chosen_one() -> None:
    chosen = Settings(0.01, 0.1, 1.0)
    trials = other_strengths("mnist", "chainzrule", chosen)
    assert {trial.settings.strength for trial in trials} == {0.25, 1.0, 2.0, 4.0}
    assert {(trial.stage, trial.hidden) for trial in trials} == {("strength", (32, 32))}
    assert not other_strengths("mnist", "relu-fisher", chosen)
    assert not other_strengths("pima", "chainzrule", chosen)
