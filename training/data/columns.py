"""Reads a table's column as numbers or as levels; what is neither is refused by name, with what to do about it."""

import datetime
import numbers
import re
import shlex
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from chainzrule.service.artifact.features import DateSource
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.spelling import flags_for

Role = Literal["auto", "numeric", "categorical"]
FEW_LEVELS = 12  # up to so many texts such as "5 kg" may well be levels
MOST_ALIKE = 1000  # distinct texts, of which no more are compared with each other
LONGEST_TEXT = 256  # characters of a name or a level, as in the card
FLOAT32_LIMIT = float(np.finfo(np.float32).max) / 2  # half of it, so that the difference of two values is finite too

_DAY = r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}[/.]\d{1,2}[/.]\d{2})"
_TIME = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2}|[AaPp][Mm])?"
_DATE = re.compile(rf"({_DAY}([ T]{_TIME})?|{_TIME})")
_DRESSED_NUMBER = re.compile(r"[$€£]?\s*[-+]?\d[\d.,' ]*\s*[%$€£]?")  # 1,234.50 or 12 % or $3


@dataclass(frozen=True)
class NumericColumn:
    """Holds a column of numbers; `values` is (rows,) float64 with NaN for gaps and is finite elsewhere.

    `date` says which part of which date the numbers are, where they are one.
    """

    name: str
    values: NDArray[np.float64]
    date: DateSource | None = None

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Returns what tells the rows apart, (rows,)."""
        return self.values

    def take(self, index: NDArray[np.int64]) -> "NumericColumn":
        """Returns the column with only the rows at `index`."""
        return replace(self, values=self.values[index])


@dataclass(frozen=True)
class CategoricalColumn:
    """Holds a column of levels; `codes` is (rows,) int64 indices into `levels`, with -1 for gaps.

    `ordered` says that the levels have an order of their own.
    """

    name: str
    codes: NDArray[np.int64]
    levels: tuple[str, ...]
    ordered: bool

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Returns what tells the rows apart, (rows,)."""
        return self.codes

    def take(self, index: NDArray[np.int64]) -> "CategoricalColumn":
        """Returns the column with only the rows at `index`."""
        return replace(self, codes=self.codes[index])


Column = NumericColumn | CategoricalColumn


def read_column(column: "pd.Series[Any]", role: Role = "auto") -> Column:
    """Reads a column as numbers or as levels.

    Numbers are numeric, anything else is categorical: text, booleans (levels `false` and `true`), pandas categories.
    Empty text is a gap. Levels are sorted, numbers by size and text by code points; an ordered category keeps its own.

    Args:
        column: one column of a table.
        role: "categorical" reads numbers, and mixtures, as levels; "numeric" reads booleans as 0 and 1.

    Raises:
        DataError: infinite or too large numbers, dates, mixed types, text in a numeric role, nothing but gaps.
    """
    name = str(column.name)
    if types.is_complex_dtype(column.dtype):
        raise DataError(f"column '{name}' holds complex numbers; split it into real columns", column=name)
    if role != "categorical" and types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype):
        return _read_numbers(name, column)
    own_order = None
    if isinstance(column.dtype, pd.CategoricalDtype) and role != "numeric":
        role = "categorical"
        own_order = column.cat.categories.tolist() if column.cat.ordered else None
    values = column.astype(object)
    kinds = {_kind(kind) for kind in set(values[values.notna()].map(type))}
    if not kinds:
        raise DataError(f"column '{name}' holds no value at all; drop it", column=name)
    if role == "numeric" and kinds <= {"text", "number"}:
        numbers = pd.to_numeric(values, errors="coerce")  # a code such as 007 is text in the file
        if (numbers.notna() | values.isna()).all():
            return _read_numbers(name, numbers)
    _refuse_kinds(name, kinds, role)
    if role == "numeric" or (role == "auto" and kinds == {"number"}):
        return _read_numbers(name, values)
    if role == "auto" and kinds == {"text"}:
        _refuse_text(name, values.dropna().drop_duplicates())
    return _read_levels(name, values, own_order)


def alike(column: "pd.Series[Any]") -> str | None:
    """Returns a note on texts that differ by blanks or capital letters only; they are different levels all the same."""
    texts = column.dropna().drop_duplicates()
    by_look: dict[str, list[str]] = {}
    for text in texts:
        if isinstance(text, str):
            by_look.setdefault(" ".join(text.split()).casefold(), []).append(text)
    twins = next((found for found in by_look.values() if len(found) > 1), None)
    if twins is None or len(by_look) > MOST_ALIKE:
        return None
    shown = ", ".join(f"'{text[:40]}'" for text in twins[:5])
    return f"column '{column.name}': {shown} differ by blanks or capital letters only, and are different levels"


def blank_to_gap(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Returns the column with gaps in place of empty text, which is how CSV writes a gap."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        blank = [level for level in column.cat.categories if _is_blank(level)]
        return column.cat.remove_categories(blank) if blank else column
    if types.is_numeric_dtype(column.dtype):
        return column
    blanks = column.map(_is_blank)
    return column.mask(blanks.astype(bool), None) if blanks.any() else column


def _read_numbers(name: str, column: "pd.Series[Any]") -> NumericColumn:
    try:
        values = np.asarray(column.astype("Float64").to_numpy(dtype="float64", na_value=np.nan), np.float64)
    except OverflowError:  # a Python integer of more than 308 digits
        values = np.array([np.inf])
    if np.isnan(values).all():
        raise DataError(f"column '{name}' holds no value at all; drop it", column=name)
    for problem, rows in (("infinite", np.isinf(values)), ("beyond float32", np.abs(values) > FLOAT32_LIMIT)):
        if rows.any():
            first = int(np.argmax(rows)) + 1
            raise DataError(
                f"column '{name}' holds {int(rows.sum())} numbers that are {problem} (the first in row {first}); "
                "correct them, or leave them empty",
                column=name,
            )
    return NumericColumn(name, values)


def _read_levels(name: str, column: "pd.Series[Any]", own_order: list[object] | None) -> CategoricalColumn:
    codes, found = pd.factorize(column)  # factorize codes gaps as -1
    present = set(found)
    all_numbers = all(_kind(type(value)) == "number" for value in found)
    if own_order is not None:
        ordered = [value for value in own_order if value in present]
    else:
        ordered = sorted(found) if all_numbers else sorted(found, key=_text)
    levels = tuple(dict.fromkeys(_text(value) for value in ordered))  # 1 and "1" are the same level
    if any(len(level) > LONGEST_TEXT for level in levels):
        raise DataError(f"column '{name}' holds texts longer than {LONGEST_TEXT} characters; drop it", column=name)
    place = {level: index for index, level in enumerate(levels)}
    places = np.array([*(place[_text(value)] for value in found), -1], dtype=np.int64)
    return CategoricalColumn(name, places[codes], levels, all_numbers or own_order is not None)


def _refuse_kinds(name: str, kinds: set[str], role: Role) -> None:
    if "date" in kinds:
        raise _date_error(name)
    if strange := sorted(kinds - {"number", "boolean", "text"}):
        what = f"column '{name}' holds values of type {', '.join(strange)}; convert them to numbers or text"
        raise DataError(what, column=name)
    if role == "numeric" and "text" in kinds:
        what = f"column '{name}' is to be numeric but holds text; convert it to numbers, with gaps left empty"
        raise DataError(what, column=name)
    if role == "auto" and len(kinds) > 1:
        raise _mixture_error(name, " and ".join(sorted(kinds)))


def _refuse_text(name: str, texts: "pd.Series[Any]") -> None:
    """Refuses texts that were meant as something else: dates, numbers in disguise, or numbers among words."""
    if all(_DATE.fullmatch(text.strip()) for text in texts):
        raise _date_error(name)
    plain = pd.to_numeric(texts, errors="coerce").notna()
    odd = [str(text) for text in texts[~plain]]
    if not odd:
        return
    flags = flags_for(name, list(map(str, texts)))
    words = [text for text in odd if not _DRESSED_NUMBER.fullmatch(text.strip())]
    if words and plain.any():
        raise _mixture_error(name, f"numbers and text ('{words[0][:40]}')", flags)
    if not words or (flags and len(texts) > FEW_LEVELS):
        raise DataError(
            f"column '{name}' holds numbers written as text ('{odd[0][:40]}'); write them plainly, with a point for "
            "decimals and no unit, or name the column as categorical",
            *flags,
            f"--categorical {shlex.quote(name)}",
            column=name,
        )


def _date_error(name: str) -> DataError:
    return DataError(
        f"column '{name}' holds dates or times; convert it to a number, such as days since a reference day, or drop it",
        column=name,
    )


def _mixture_error(name: str, what: str, flags: tuple[str, ...] = ()) -> DataError:
    return DataError(
        f"column '{name}' mixes {what}; leave unknown values empty, or name the column as categorical to use all of "
        "them as levels",
        *flags,
        f"--categorical {shlex.quote(name)}",
        column=name,
    )


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _kind(kind: type) -> str:
    if issubclass(kind, bool | np.bool_):
        return "boolean"
    if issubclass(kind, numbers.Number) and not issubclass(kind, complex):  # Decimal is a Number but not a Real
        return "number"
    if issubclass(kind, str):
        return "text"
    if issubclass(kind, datetime.date | datetime.time | datetime.timedelta | pd.Period | np.datetime64):
        return "date"
    return kind.__name__


def _text(value: object) -> str:
    """Returns a level's text: booleans as JSON writes them, whole numbers without a decimal point."""
    kind = _kind(type(value))
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "number":
        number = float(value)  # type: ignore[arg-type]
        return str(int(value)) if number.is_integer() else repr(number)  # type: ignore[call-overload]
    return str(value)
