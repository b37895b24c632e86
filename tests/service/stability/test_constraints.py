"""Declared effects against derivatives whose signs are known."""

import numpy as np
import pytest
from pydantic import ValidationError

from chainzrule.service.artifact.card import ModelCard
from chainzrule.service.stability.constraints import Constraints
from tests.artifacts import BINARY, CLASSIFIER, IMAGE, REGRESSION, Toy, categorical, numeric

FEATURES = (
    numeric("age", monotone="increasing"),
    categorical("colour", "red", "green"),
    numeric("dose", monotone="decreasing"),
    numeric("weight"),
)


def declared(task: str, **facts: object) -> Constraints:
    return Constraints(Toy(task=task, name="t", features=FEATURES, **facts).card())  # type: ignore[arg-type]


def test_a_value_must_move_as_declared() -> None:
    found = declared("regression")
    assert [(one.feature, one.direction, one.column) for one in found.declared] == [
        ("age", "increasing", 0),
        ("dose", "decreasing", 3),
    ]
    slopes = np.array([[1, 9, 9, -1, 5], [-1, 9, 9, -1, 5], [1, 9, 9, 1, -5], [0, 0, 0, 0, 0]], np.float32)
    assert found.violated(slopes[:, None]).tolist() == [[False, False], [True, False], [False, True], [False, False]]


def test_of_two_labels_it_is_the_second_that_counts() -> None:
    found = declared("classification", labels=("no", "yes"))
    slopes = np.zeros((2, 2, 5), np.float32)
    slopes[0, :, 0], slopes[1, :, 0] = (-1, 1), (1, -1)
    assert found.violated(slopes).tolist() == [[False, False], [True, False]]


def test_what_rounding_makes_is_no_violation() -> None:
    slopes = np.array([[[-1e-8, 0, 0, 1e-8, 1.0]]], np.float32)
    assert not declared("regression").violated(slopes).any()
    assert declared("regression").violated(1e-3 * slopes + np.array([-1, 0, 0, 1, 0], np.float32)).all()


def test_cards_without_declared_effects_are_never_broken() -> None:
    for toy in (CLASSIFIER, BINARY, REGRESSION, IMAGE):
        found = Constraints(toy.card())
        assert found.declared == []
        assert found.violated(toy.jacobian(toy.rows(3)).astype(np.float32)).shape == (3, 0)


@pytest.mark.parametrize("toy", [CLASSIFIER, IMAGE], ids=lambda toy: toy.name)
def test_a_card_declares_none_where_nothing_can_rise(toy: Toy) -> None:
    content = toy.card().model_dump()
    content["features"][0]["monotone"] = "increasing"
    with pytest.raises(ValidationError, match="monotone"):
        ModelCard.model_validate(content)
