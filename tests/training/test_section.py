import pytest
from pydantic import ValidationError

from chainzrule.training.section import Section


class Some(Section):
    number: float = 0.0


@pytest.mark.parametrize("content", [{"numbre": 1.0}, {"number": float("nan")}, {"number": float("inf")}])
def test_unknown_keys_and_numbers_that_are_none_are_refused(content: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Some.model_validate(content)


def test_a_section_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Some().number = 1.0  # type: ignore[misc]
