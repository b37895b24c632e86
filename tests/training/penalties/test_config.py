import pytest
from pydantic import ValidationError

from chainzrule.training.penalties.config import FISHER, STRENGTH, DregConfig


def test_factors_that_are_not_given_are_in_units_of_what_there_is_to_win() -> None:
    whole, little = (DregConfig().as_penalty("classification", 0, stake) for stake in (1.0, 0.02))
    assert whole is not None
    assert little is not None
    assert (whole.schedule.start, whole.fisher) == (STRENGTH, FISHER)
    assert (little.schedule.start, little.schedule.end, little.fisher) == (
        0.02 * STRENGTH,
        0.02 * STRENGTH,
        0.02 * FISHER,
    )


def test_factors_that_are_given_are_absolute() -> None:
    given = DregConfig(strength=0.5, final=0.1, schedule="linear", fisher=0.7)
    assert given.as_penalty("ordinal", 0, 0.02) == given.as_penalty("ordinal", 0, 1.0)
    penalty = DregConfig(strength=0.5).as_penalty("classification", 0, 0.02)
    assert penalty is not None
    assert (penalty.schedule.start, penalty.fisher) == (0.5, 0.02 * FISHER)


def test_a_regression_has_no_fisher_term_of_itself() -> None:
    penalty = DregConfig().as_penalty("regression", 0)
    assert penalty is not None
    assert penalty.fisher == 0


def test_an_end_needs_a_beginning() -> None:
    with pytest.raises(ValidationError, match="`strength` to begin with"):
        DregConfig(final=0.1, schedule="cosine")
