"""Which trials are run, and which settings are chosen."""

import pytest

from chainzrule.training.fairfight import classical
from chainzrule.training.fairfight.methods import METHODS
from chainzrule.training.fairfight.plan import (
    BUDGETS,
    SEEDS,
    choose,
    final,
    grid,
    methods,
    other_strengths,
    portraits,
    quickened,
    tuning,
)
from chainzrule.training.fairfight.settings import Settings


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


def chosen(metric: str, figures: list[tuple[float, float | None]]) -> int:
    """The place of the setting that is chosen, by scores and peaks."""
    trials = tuning("breast-cancer", "relu")[: len(figures)]
    results = {
        trial.key: {"figures": {"score": score} if peak is None else {"score": score, "peak_p99": peak}}
        for trial, (score, peak) in zip(trials, figures, strict=True)
    }
    return [trial.settings for trial in trials].index(choose(trials, results, metric))


@pytest.mark.parametrize(
    ("metric", "figures", "place"),
    [
        ("accuracy", [(0.98, 2.0), (0.9791, 1.0), (0.9789, 0.1)], 1),  # within a thousandth of the best
        ("rmse", [(1.0, 2.0), (1.019, 1.0), (1.021, 0.1)], 1),  # within a fiftieth
        ("accuracy", [(0.97, None), (0.98, None), (0.9795, None)], 1),  # of trees the best alone
        ("rmse", [(1.01, None), (1.0, None), (1.2, None)], 1),
        ("accuracy", [(float("nan"), 0.1), (0.5, 9.0), (0.4, 1.0)], 1),
    ],
)
def test_who_scores_close_to_the_best_is_as_good(
    metric: str, figures: list[tuple[float, float | None]], place: int
) -> None:
    assert chosen(metric, figures) == place


def test_where_all_diverged_the_first_is_kept_and_nothing_is_chosen_from_nothing() -> None:
    trials = tuning("breast-cancer", "relu")[:2]
    assert choose(trials, {trial.key: {"figures": None} for trial in trials}, "accuracy") == trials[0].settings
    with pytest.raises(ValueError, match="no settings to choose from"):
        choose([], {}, "accuracy")


@pytest.mark.parametrize("problem", BUDGETS)
def test_every_method_is_tuned_alike_and_reported_with_its_seeds(problem: str) -> None:
    for method in methods(problem):
        trials = tuning(problem, method)
        assert len(trials) == len(grid(problem, method)) == 9
        assert {(trial.hidden, trial.seed, trial.stage) for trial in trials} == {(BUDGETS[problem].tuned, 0, "tune")}
        reported = final(problem, method, trials[0].settings)
        assert {trial.stage for trial in reported} == {"test"}
        few = method in METHODS and METHODS[method].slow and BUDGETS[problem].slow_rows
        assert sorted({trial.seed for trial in reported}) == list(SEEDS[:3] if few else SEEDS)
        if method in classical.METHODS:
            assert len(reported) == 5


def test_table_methods_take_part_where_there_is_a_table() -> None:
    assert set(methods("pima")) - set(methods("mnist")) == set(classical.METHODS)


def test_a_large_relu_network_is_there_for_the_papers_claim() -> None:
    sizes = {trial.hidden for trial in final("mnist", "relu", Settings(0.01))}
    assert sizes == {*BUDGETS["mnist"].sizes, BUDGETS["mnist"].large}
    assert {trial.hidden for trial in final("mnist", "kan", Settings(0.01))} == set(BUDGETS["mnist"].two)
    assert {trial.rows for trial in final("mnist", "kan", Settings(0.01))} == {10_000}


def test_portraits_are_of_methods_with_a_curve() -> None:
    (trial,) = portraits("mnist", "relu", Settings(0.01))
    assert (trial.hidden, trial.seed, trial.stage) == ((64, 64), 1, "portrait")
    assert portraits("mnist", "kan", Settings(0.01)) == portraits("pima", "boosting", Settings(0.01)) == []
