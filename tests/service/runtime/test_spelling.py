"""Numbers as people spell them, read strictly."""

import pytest
from pandas._libs.parsers import STR_NA_VALUES  # type: ignore[attr-defined]

from chainzrule.service.runtime.spelling import SPACE, USUAL_MARKS, Spelling, number_of


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "unit", "number"),
    [
        ("1234.5", ".", None, None, 1234.5),
        (" -3 ", ".", None, None, -3.0),
        (".5", ".", None, None, 0.5),
        ("5.", ".", None, None, 5.0),
        ("1e-3", ".", None, None, 0.001),
        ("1,5", ",", None, None, 1.5),
        ("1,234.50", ".", ",", None, 1234.5),
        ("1.234.567,5", ",", ".", None, 1234567.5),
        ("1 234\u00a0567\u202f890", ".", SPACE, None, 1234567890.0),
        ("1'234", ".", "'", None, 1234.0),
        ("1234,5", ",", ".", None, 1234.5),
        ("$ 12", ".", None, "$", 12.0),
        ("-$1,200", ".", ",", "$", -1200.0),
        ("12.3 kg", ".", None, "kg", 12.3),
        ("12%", ".", None, "%", 12.0),
        ("12", ".", None, "%", 12.0),
        ("1,5", ".", ",", None, None),  # not 15
        ("1,2345", ".", ",", None, None),
        ("12,34,567", ".", ",", None, None),
        ("1.5", ",", ".", None, None),
        ("1,5", ".", None, None, None),
        ("12 lb", ".", None, "kg", None),
        ("kg", ".", None, "kg", None),
        ("", ".", None, None, None),
        (".", ".", None, None, None),
        ("nan", ".", None, None, None),
        ("1_000", ".", None, None, None),
        ("01234", ".", None, None, None),
        ("00", ".", None, None, None),
        ("0", ".", None, None, 0.0),
        ("0.5", ".", None, None, 0.5),
        ("\u0661\u0662", ".", None, None, None),
    ],
)
def test_numbers_are_read_strictly(
    text: str, decimal: str, thousands: str | None, unit: str | None, number: float | None
) -> None:
    assert number_of(text, Spelling(decimal=decimal, thousands=thousands), unit) == number


def test_the_usual_marks_are_those_of_pandas() -> None:
    assert {"", *USUAL_MARKS} == STR_NA_VALUES


def test_marks_of_gaps_are_added_and_taken_away() -> None:
    gaps = Spelling(na=("?", "-"), not_na=("NA",)).gaps
    assert {"?", "-", "NaN", "null"} <= gaps
    assert "NA" not in gaps
    assert Spelling().gaps == frozenset(USUAL_MARKS)
