"""A table's cells become what training would have made of them."""

import io
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainzrule.cells import column_of, values_of
from chainzrule.service.artifact.features import CategoricalFeature, DateSource, level_text
from chainzrule.service.runtime.spelling import SPACE, Spelling
from chainzrule.training.data.columns import CategoricalColumn, read_column
from tests.artifacts import numeric

NUMBER = numeric("age")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1.5", 1.5),
        (" 7", 7.0),
        ("-1e-3", -0.001),
        (3, 3.0),
        (np.int64(3), 3.0),
        (np.float32(0.5), 0.5),
        (Decimal("2.5"), 2.5),
        (True, 1.0),
        (np.bool_(False), 0.0),
        *((gap, None) for gap in ("", "  ", "NA", "null", "NaN", None, math.nan, np.float32("nan"))),
    ],
)
def test_numbers_and_gaps(cell: Any, value: float | None) -> None:
    # Alone, and beside a cell that keeps the column from being plain numbers.
    for found in (values_of([cell], NUMBER)[0], values_of([cell, "x"], NUMBER)[0]):
        assert found == value
        assert type(found) is type(value)


@pytest.mark.parametrize(
    "cell", ["abc", "1_000", "1,5", "12 %", "0x1A", [1.0], 10**400], ids=lambda cell: str(cell)[:8]
)
def test_what_is_no_number_is_left_for_the_service_to_refuse(cell: Any) -> None:
    assert values_of([cell], NUMBER) == [cell]
    assert values_of(["1", cell], NUMBER) == [1.0, cell]


def test_a_column_of_plain_numbers_is_all_floats() -> None:
    assert values_of(["1", 2, 3.5], NUMBER) == [1.0, 2.0, 3.5]
    assert set(map(type, values_of(["1", 2, 3.5], NUMBER))) == {float}


@pytest.mark.parametrize(
    ("levels", "cell", "value"),
    [
        (("red", "blue"), "red", "red"),
        (("red", "blue"), "green", "green"),
        (("red", "blue"), "NA", None),
        (("NA", "blue"), "NA", "NA"),  # a level of that name, as a DataFrame can have
        (("red", "blue"), None, None),
        (("true", "false"), "True", "true"),
        (("true", "false"), False, "false"),
        (("true", "false"), np.bool_(True), "true"),
        (("1", "2"), "1.0", "1"),
        (("1", "2"), 2, "2"),
        (("1", "2"), 2.0, "2"),
        (("1", "2"), np.int64(1), "1"),
        (("0.5", "2"), 0.5, "0.5"),
        (("01", "02"), "01", "01"),
        (("1", "2"), "inf", "inf"),
        (("1", "2"), 3, "3"),
        (("1", "2"), "3.0", "3.0"),
        (("1", "2"), [1], [1]),
        (("1", "2"), math.nan, None),
    ],
)
def test_levels(levels: tuple[str, ...], cell: Any, value: str | None) -> None:
    assert values_of([cell], CategoricalFeature(name="kind", levels=levels)) == [value]


GERMAN = Spelling(decimal=",", na=("?", "999"), not_na=("NA",), units={"age": "J."})


@pytest.mark.parametrize(("spelling", "cells", "values"), [
    (GERMAN, ["1,5 J.", "2.5", "", "?", "999", 999], [1.5, 2.5, None, None, None, 999.0]),
    (GERMAN, ["NA", "1.234,5"], ["NA", "1.234,5"]),
    (Spelling(decimal=",", thousands="."), ["1.234,5", "1.500", "1.5", "7"], [1234.5, 1500.0, "1.5", 7.0]),
    (Spelling(thousands=SPACE), ["1 234", "12 34", "1_000"], [1234.0, "12 34", "1_000"]),
])  # fmt: skip
def test_numbers_are_read_as_the_table_spells_them(spelling: Spelling, cells: list[Any], values: list[Any]) -> None:
    assert values_of(cells, NUMBER, spelling=spelling) == values


def test_levels_that_are_numbers_are_read_as_the_table_spells_them() -> None:
    kind = CategoricalFeature(name="kind", levels=("1.5", "2", "NA"))
    spelling = Spelling(decimal=",", na=("?",), not_na=("NA",))
    assert values_of(["1,5", "2,0", "NA", "?"], kind, spelling=spelling) == ["1.5", "2", "NA", None]


@pytest.mark.parametrize(
    "text", ["kind\nTrue\nFalse\n", "kind\n1\n2\n", "kind\n1\n\n2\n", "kind\n1.5\n2\n", "kind\na\nb\n"]
)
def test_a_file_that_a_model_was_trained_on_has_its_levels(text: str) -> None:
    column = read_column(pd.read_csv(io.StringIO(text), skip_blank_lines=False)["kind"], "categorical")
    assert isinstance(column, CategoricalColumn)
    found = values_of(text.splitlines()[1:], CategoricalFeature(name="kind", levels=column.levels))
    assert found == [None if code < 0 else column.levels[code] for code in column.codes]


@pytest.mark.parametrize("value", [True, False, 1, 2.0, 0.1, -3, 1e20, np.int8(4), np.float32(0.5)])
def test_levels_are_written_as_training_writes_them(value: Any) -> None:
    column = read_column(pd.Series([value, value], name="kind", dtype=object), "categorical")
    assert isinstance(column, CategoricalColumn)
    assert (level_text(value),) == column.levels


SEEN = numeric("seen.month", date=DateSource(column="seen", format="dmy", part="month"))
DAYS = numeric("seen.month", date=DateSource(column="seen", format="ymd", part="month"))


def test_a_feature_has_its_own_column_or_that_of_its_date() -> None:
    assert column_of(NUMBER, ("age", "seen")) == "age"
    assert column_of(NUMBER, ("seen",)) is None
    assert column_of(SEEN, ("age", "seen")) == "seen"
    assert column_of(SEEN, ("seen.month", "seen")) == "seen.month"
    assert column_of(SEEN, ("age",)) is None


def test_cells_of_a_date_become_the_part() -> None:
    cells = ["31.12.2020", pd.Timestamp("2020-07-01"), "", None, pd.NaT, "12/31/2020", "x"]
    assert values_of(cells, SEEN, "seen") == [12.0, 7.0, None, None, None, "12/31/2020", "x"]
    assert values_of(["20201231", 20200101, 20200201.0, math.nan], DAYS, "seen") == [12.0, 1.0, 2.0, None]
    assert values_of(["5", 6], SEEN, "seen.month") == [5.0, 6.0]
