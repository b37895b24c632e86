"""Dates as numbers, read strictly."""

from datetime import datetime
from typing import Any

import pytest

from chainzrule.service.artifact.features import DateFormat, DatePart
from chainzrule.service.runtime.dates import form_of, moment_in, part_of

LAST = datetime(2020, 12, 31)


@pytest.mark.parametrize(
    ("value", "form", "moment"),
    [
        ("2020-12-31", "iso", LAST),
        (" 2020-12-31 ", "iso", LAST),
        ("2020-12-31T06:30:15Z", "iso", datetime(2020, 12, 31, 6, 30, 15)),
        ("2020-12-31 06:30:15.123+02:00", "iso", datetime(2020, 12, 31, 6, 30, 15)),
        ("2020-12-31 6:30", "iso", datetime(2020, 12, 31, 6, 30)),
        ("2020-12", "iso", datetime(2020, 12, 1)),
        ("20201231", "ymd", LAST),
        (20201231, "ymd", LAST),
        ("2020/12/31", "ymd", LAST),
        ("31.12.2020", "dmy", LAST),
        ("31/12/2020", "dmy", LAST),
        ("31-Dec-2020", "dmy", LAST),
        ("31 December 2020", "dmy", LAST),
        ("12/31/2020", "mdy", LAST),
        ("December 31, 2020", "mdy", LAST),
        ("2020-13-01", "iso", None),
        ("2021-02-29", "iso", None),
        ("2020-1-1", "iso", None),
        ("31.12.2020", "iso", None),
        ("12/31/2020", "dmy", None),
        ("31/12/2020", "mdy", None),
        ("31.12.20", "dmy", None),
        ("31-Foo-2020", "dmy", None),
        ("2020-12-31T25:00", "iso", None),
        ("2020-12-31 tomorrow", "iso", None),
        ("\u0662020-12-31", "iso", None),
        ("0000-12-31", "iso", None),
        ("", "iso", None),
        ("2020-12-31" + " " * 100, "iso", None),
        (20201231, "iso", None),
        (20201231.0, "ymd", None),
        (None, "iso", None),
        (["2020-12-31"], "iso", None),
    ],
)
def test_dates_are_read_strictly(value: Any, form: DateFormat, moment: datetime | None) -> None:
    assert moment_in(value, form) == moment


@pytest.mark.parametrize(
    ("moment", "part", "number"),
    [
        (datetime(2020, 1, 1), "year", 2020.0),
        (datetime(2020, 7, 2), "year", 2020.5),
        (datetime(2021, 12, 31, 12), "year", 2021 + 364.5 / 365),
        (LAST, "month", 12.0),
        (datetime(2024, 1, 1), "weekday", 1.0),
        (datetime(2024, 1, 7), "weekday", 7.0),
        (datetime(2024, 1, 7, 13, 45), "hour", 13.75),
    ],
)
def test_parts_of_a_date_are_numbers(moment: datetime, part: DatePart, number: float) -> None:
    assert part_of(moment, part) == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize("form", ["iso", "ymd", "dmy", "mdy"])
def test_a_format_is_shown_by_examples_of_it(form: DateFormat) -> None:
    assert all(moment_in(example, form) is not None for example in form_of(form).split(" or "))
