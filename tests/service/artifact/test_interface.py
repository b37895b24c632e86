"""An interface stands without a card, and refuses what no model could be."""

from typing import Any

import pytest
from pydantic import ValidationError

from chainzrule.service.artifact.features import Layout
from chainzrule.service.artifact.interface import MAX_PROBED_COLUMNS, Differences, Draws, Interface
from tests.artifacts import CLASSIFIER, IMAGE, MIXED, ORDINAL, REGRESSION, categorical, numeric

DIFFERENCES, DRAWS = Differences(step=0.1), Draws(count=512, seed=0)


def make(**parts: Any) -> Interface:
    """An interface of two labels and two numbers, but for its parts."""
    return Interface(**{
        "task": "classification",
        "method": "analytic",
        "target": "outcome",
        "features": (numeric("height"), numeric("weight")),
        "labels": ("no", "yes"),
        **parts,
    })  # fmt: skip


@pytest.mark.parametrize(("parts", "said"), [
    ({"features": (numeric("height"), numeric("height"))}, "feature names repeat"),
    ({"features": ()}, "at least 1 item"),
    ({"layout": Layout(height=2, width=2)}, "an image card has one numeric feature"),
    ({"layout": Layout(height=2, width=2), "features": (categorical("c", "a", "b"),)}, "one numeric feature"),
    ({"labels": ("no", "no")}, "labels repeat"),
    ({"labels": ("no",)}, "a classification card cannot have 1 labels"),
    ({"task": "ordinal"}, "a ordinal card cannot have 2 labels"),
    ({"task": "regression"}, "a regression card cannot have 2 labels"),
    ({"labels": tuple(map(str, range(65)))}, "more than 64 scores"),
    ({"method": "finite_difference"}, "differences belong to the method finite_difference"),
    ({"differences": DIFFERENCES}, "differences belong to the method finite_difference"),
    ({"method": "monte_carlo"}, "draws belong to the method monte_carlo"),
    ({"draws": DRAWS}, "draws belong to the method monte_carlo"),
    ({"method": "monte_carlo", "draws": DRAWS, "differences": DIFFERENCES}, "differences belong"),
    (
        {"method": "monte_carlo", "draws": DRAWS, "layout": Layout(height=2, width=4096), "features": (numeric("p"),)},
        "the method monte_carlo takes at most 4096 columns",
    ),
    (
        {"method": "finite_difference", "differences": DIFFERENCES, "task": "ordinal", "labels": ("a", "b", "c")},
        "an ordinal card cannot have the method finite_difference",
    ),
    (
        {"method": "monte_carlo", "draws": DRAWS, "features": (categorical("c", "a", "b"),)},
        "the method monte_carlo takes at least one numeric feature",
    ),
    (
        {"features": (numeric("h", monotone="increasing"),), "labels": ("a", "b", "c")},
        "a monotone effect is one on a value",
    ),
    (
        {"features": (numeric("p", monotone="increasing"),), "layout": Layout(height=1, width=2)},
        "a monotone effect is one on a value",
    ),
])  # fmt: skip
def test_what_no_model_could_be_is_refused(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        make(**parts)


@pytest.mark.parametrize("parts", [
    {"labels": tuple(map(str, range(64)))},
    {"task": "ordinal", "labels": tuple(map(str, range(65)))},
    {"task": "regression", "labels": ()},
    {"method": "finite_difference", "differences": DIFFERENCES},
    {
        "method": "monte_carlo",
        "draws": DRAWS,
        "layout": Layout(height=1, width=MAX_PROBED_COLUMNS),
        "features": (numeric("pixel"),),
    },
    {"layout": Layout(height=3, width=2000), "features": (numeric("pixel"),)},
    {"features": (numeric("height", monotone="decreasing"),)},
    {"task": "ordinal", "labels": ("a", "b", "c"), "features": (numeric("height", monotone="decreasing"),)},
])  # fmt: skip
def test_what_a_model_can_be_is_accepted(parts: dict[str, Any]) -> None:
    assert make(**parts).model_fields_set >= parts.keys()


def test_the_width_and_the_scores_follow_from_it() -> None:
    widths = {
        toy.name: (toy.card().width, toy.card().scores) for toy in (CLASSIFIER, ORDINAL, REGRESSION, MIXED, IMAGE)
    }
    assert widths == {"toy": (2, 3), "graded": (2, 3), "amount": (2, 1), "mixed": (7, 3), "image": (6, 3)}


def test_an_images_pixels_are_its_inputs_row_by_row() -> None:
    inputs = list(IMAGE.card().inputs())
    assert [feature.name for feature in inputs] == [f"pixel_{row}_{column}" for row in range(2) for column in range(3)]
    assert {feature.kind for feature in inputs} == {"numeric"}
    assert list(MIXED.card().inputs()) == list(MIXED.features)


@pytest.mark.parametrize("parts", [
    {"count": 62}, {"count": 65}, {"count": 2**16 + 2}, {"seed": -1}, {"seed": 2**32},
])  # fmt: skip
def test_draws_are_pairs_and_so_many(parts: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Draws(**{"count": 64, "seed": 0, **parts})
    assert Draws(count=64, seed=2**32 - 1).count == 64
    assert Draws(count=2**16, seed=0).count == 2**16


@pytest.mark.parametrize(("step", "accepted"), [(0.0, False), (1e-6, True), (1.0, True), (1.001, False)])
def test_a_step_is_at_most_one_standard_deviation(step: float, accepted: bool) -> None:
    if accepted:
        assert Differences(step=step).step == step
    else:
        with pytest.raises(ValidationError):
            Differences(step=step)
