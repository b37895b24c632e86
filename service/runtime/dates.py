"""Reads dates as numbers, strictly: once for the table that is trained on, and once for the rows that are served."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from chainzrule.service.artifact.features import DateFormat, DatePart

LONGEST = 40  # characters of a date with its time
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_TIME = (
    r"(?:[T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?"
    r"(?:\s*(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?"  # the local time as it is written, whatever its zone
)
_DAY, _MONTH, _YEAR, _WORD = r"(?P<day>\d{1,2})", r"(?P<month>\d{1,2})", r"(?P<year>\d{4})", r"(?P<month>[A-Za-z]{3,9})"
_WRITTEN: Mapping[DateFormat, tuple[str, ...]] = {
    "iso": (r"(?P<year>\d{4})-(?P<month>\d{2})(?:-(?P<day>\d{2}))?",),
    "ymd": (r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})", rf"{_YEAR}[./]{_MONTH}[./]{_DAY}"),
    "dmy": (rf"{_DAY}[./-]{_MONTH}[./-]{_YEAR}", rf"{_DAY}(?:[ -]|\. ?){_WORD}[ -]{_YEAR}"),
    "mdy": (rf"{_MONTH}[./-]{_DAY}[./-]{_YEAR}", rf"{_WORD} {_DAY}, ?{_YEAR}"),
}
_PATTERNS = {
    form: [re.compile(pattern + _TIME, re.ASCII) for pattern in patterns] for form, patterns in _WRITTEN.items()
}
_FORMS: Mapping[DateFormat, str] = {
    "iso": "2020-12-31 or 2020-12-31T23:59:00",
    "ymd": "20201231 or 2020/12/31",
    "dmy": "31.12.2020",
    "mdy": "12/31/2020",
}


def _year(moment: datetime) -> float:
    """Returns the year with its fraction, such as 2020.5 for July."""
    start = datetime(moment.year, 1, 1)
    days = (datetime(moment.year, 12, 31) - start).days + 1
    return moment.year + (moment - start).total_seconds() / (86_400 * days)


_PARTS: Mapping[DatePart, Callable[[datetime], float]] = {
    "year": _year,
    "month": lambda moment: float(moment.month),
    "weekday": lambda moment: float(moment.isoweekday()),
    "hour": lambda moment: moment.hour + moment.minute / 60,
}


def moment_in(value: Any, form: DateFormat) -> datetime | None:
    """Returns the date in a text, or in a whole number for the format `ymd`; None where it is none of that format."""
    if form == "ymd" and type(value) is int:
        value = str(value)
    if type(value) is not str or len(value) > LONGEST:
        return None
    for pattern in _PATTERNS[form]:
        found = pattern.fullmatch(value.strip())
        if found is not None:
            return _moment(found.groupdict())
    return None


def part_of(moment: datetime, part: DatePart) -> float:
    """Returns a part of a date: the year with its fraction, the month, the weekday (Monday is 1) or the hour."""
    return _PARTS[part](moment)


def form_of(form: DateFormat) -> str:
    """Returns examples of a format, for messages."""
    return _FORMS[form]


def _moment(parts: dict[str, str | None]) -> datetime | None:
    month = parts["month"] or ""
    number = int(month) if month.isdecimal() else _MONTHS.get(month[:3].lower(), 0)
    hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
    try:
        return datetime(int(parts["year"] or 0), number, int(parts["day"] or 1), hour, minute, second)
    except ValueError:  # there is no such day
        return None
