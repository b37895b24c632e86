from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from chainzrule.service.artifact.features import CategoricalFeature, Feature, Layout, NumericFeature, level_text
from tests.artifacts import numeric

FEATURE: TypeAdapter[NumericFeature | CategoricalFeature] = TypeAdapter(Feature)


@pytest.mark.parametrize(("content", "said"), [
    ({"levels": ["only"]}, "at least 2 items"),
    ({"levels": ["a", "a"]}, "levels repeat"),
    ({"levels": ["a", ""]}, "at least 1 character"),
    ({"levels": ["a", "b"], "fill": "c"}, "fill is not one of the levels"),
    ({"levels": ["a", "b"], "other": "c"}, "other is not one of the levels"),
])  # fmt: skip
def test_levels_that_are_none_are_refused(content: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FEATURE.validate_python({"kind": "categorical", "name": "colour", **content})


def test_a_level_may_stand_for_a_gap() -> None:
    found = FEATURE.validate_python({"kind": "categorical", "name": "colour", "levels": ["a", "b"], "fill": "b"})
    assert found.fill == "b"


@pytest.mark.parametrize(
    ("value", "level"), [(1, "1"), (1.0, "1"), (-0.5, "-0.5"), (True, "true"), (False, "false"), (1e22, "1" + "0" * 22)]
)
def test_a_level_that_is_a_number_or_a_boolean_has_a_text(value: Any, level: str) -> None:
    assert level_text(value) == level


def test_a_range_may_be_one_value_and_not_less() -> None:
    assert numeric("height", low=2.0, high=2.0).low == 2.0
    with pytest.raises(ValidationError, match="low is above high"):
        numeric("height", low=2.0, high=1.9)


@pytest.mark.parametrize("content", [{"height": 0, "width": 2}, {"height": 2, "width": 4097}, {"height": 2}])
def test_an_images_sides_are_bounded(content: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Layout.model_validate(content)
    assert Layout(height=1, width=4096) != Layout(height=4096, width=1)
