"""Dates of a table become their parts."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainzrule.service.artifact.features import DateFormat, DateSource
from chainzrule.training.data.columns import CategoricalColumn, NumericColumn
from chainzrule.training.data.dates import as_written, part_column, read_columns
from chainzrule.training.data.errors import DataError

DAYS = pd.date_range("2020-01-30", periods=60)


def read(cells: Any, role: Any = "auto", form: DateFormat | None = None) -> dict[str, Any]:
    return {column.name: column for column in read_columns(pd.Series(cells, name="seen"), role, form)}


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (DAYS, "iso"),
        (DAYS.date, "iso"),
        (DAYS.strftime("%Y-%m-%d"), "iso"),
        (DAYS.strftime("%Y-%m-%dT00:00:00Z"), "iso"),
        (DAYS.strftime("%Y/%m/%d"), "ymd"),
        (DAYS.strftime("%d.%m.%Y"), "dmy"),
        (DAYS.strftime("%d-%b-%Y"), "dmy"),
        (DAYS.strftime("%m/%d/%Y"), "mdy"),
        (DAYS.strftime("%B %d, %Y"), "mdy"),
    ],
)
def test_dates_are_recognised_and_become_numbers(cells: Any, form: str) -> None:
    found = read(cells)
    assert list(found) == ["seen.year", "seen.month", "seen.weekday"]
    assert found["seen.year"].date == DateSource(column="seen", format=form, part="year")
    np.testing.assert_allclose(found["seen.month"].values, DAYS.month)
    np.testing.assert_allclose(found["seen.weekday"].values, DAYS.day_of_week + 1)
    assert found["seen.year"].values[0] == pytest.approx(2020 + 29 / 366)


def test_hours_are_a_part_where_there_are_any() -> None:
    found = read([f"2020-01-01 {hour:02}:30" for hour in range(24)])
    assert list(found) == ["seen.year", "seen.hour"]
    assert found["seen.hour"].values.tolist() == [hour + 0.5 for hour in range(24)]


def test_months_and_gaps_are_read() -> None:
    found = read([*(f"2020-{month:02}" for month in range(1, 13)), None, ""[:0] or None])
    assert found["seen.month"].values[:12].tolist() == list(range(1, 13))
    assert np.isnan(found["seen.month"].values[12:]).all()
    (only,) = read(["2020-01-01"] * 3 + [None]).values()
    assert only.name == "seen.year"  # a constant stays one


def test_what_is_no_date_is_read_as_it_was() -> None:
    assert isinstance(read([20200101, 20200102])["seen"], NumericColumn)
    assert isinstance(read(["20200101", "20200102"])["seen"], CategoricalColumn)
    assert isinstance(read(["a", "2020-01-01"])["seen"], CategoricalColumn)
    assert isinstance(read(DAYS.strftime("%Y-%m-%d"), "categorical")["seen"], CategoricalColumn)
    assert isinstance(read([None, 1.5])["seen"], NumericColumn)


def test_a_format_that_is_named_is_read() -> None:
    assert list(read([20200101, 20200215, None], form="ymd")) == ["seen.year", "seen.month", "seen.weekday"]
    either = ["01/02/2020", "03/04/2020"]
    assert read(either, form="dmy")["seen.month"].values.tolist() == [2, 4]
    assert read(either, form="mdy")["seen.month"].values.tolist() == [1, 3]
    compact = [20200101 + day for day in range(20)]
    with pytest.raises(DataError, match="holds dates written as 20200101") as caught:
        read(compact)
    assert caught.value.problems[0].flags == ("--date seen=ymd", "--numeric seen")
    assert list(read(compact, "numeric")) == ["seen"]
    for other in ([*compact, 20201399], [*compact, 1.5], [20200101, 20200102], [compact[0] / 2] * 20):
        assert list(read(other)) == ["seen"]
    with pytest.raises(DataError, match="holds 'x', which is no date as 2020-12-31") as caught:
        read(["2020-01-01", "x"], form="iso")
    assert caught.value.problems[0].flags == ("--na=x",)


def test_a_day_and_a_month_that_cannot_be_told_apart_are_refused_with_the_flags() -> None:
    with pytest.raises(DataError, match="day and month cannot be told apart") as caught:
        read(["01/02/2020", "03/04/2020"])
    assert caught.value.problems[0].flags == ("--date seen=dmy", "--date seen=mdy")


def test_one_part_is_read_as_in_training() -> None:
    source = DateSource(column="seen", format="iso", part="month")
    column = part_column(as_written(pd.Series([datetime.date(2020, 5, 1), pd.NaT, pd.Timestamp("2021-07-01")])), source)
    assert (column.name, column.date) == ("seen.month", source)
    np.testing.assert_array_equal(column.values, [5.0, np.nan, 7.0])
