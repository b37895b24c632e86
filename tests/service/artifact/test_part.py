import pytest
from pydantic import ValidationError

from chainzrule.service.artifact.features import NumericFeature
from tests.artifacts import CLASSIFIER, numeric


def test_a_card_cannot_be_changed() -> None:
    card = CLASSIFIER.card()
    with pytest.raises(ValueError, match="frozen"):
        card.name = "other"
    with pytest.raises(ValueError, match="frozen"):
        card.features[0].noise = 1.0  # type: ignore[union-attr]


def test_unknown_fields_and_numbers_that_are_none_are_refused() -> None:
    content = numeric("height").model_dump()
    assert NumericFeature.model_validate(content) == numeric("height")
    for wrong in ({"colour": "red"}, {"mean": float("nan")}, {"high": float("inf")}):
        with pytest.raises(ValidationError):
            NumericFeature.model_validate(content | wrong)
