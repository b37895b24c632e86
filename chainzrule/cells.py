"""Converts a table's cells to the values that the service takes, reading numbers, levels and gaps as training does."""

import math
import numbers
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from chainzrule.service.artifact.features import CategoricalFeature, DateSource, Feature, NumericFeature, level_text
from chainzrule.service.runtime.dates import moment_in, part_of
from chainzrule.service.runtime.spelling import Spelling, number_of

_PLAIN = Spelling()


def column_of(feature: Feature, names: Collection[str]) -> str | None:
    """Returns the column of a table that has a feature's values, or the date that they are part of; None where none."""
    if feature.name in names:
        return feature.name
    date = feature.date if isinstance(feature, NumericFeature) else None
    return date.column if date is not None and date.column in names else None


def values_of(
    cells: Sequence[Any], feature: Feature, column: str | None = None, spelling: Spelling = _PLAIN
) -> list[Any]:
    """Returns the values of one column; cells that are no value of the feature stay, for the service to refuse.

    Args:
        cells: the column's cells.
        feature: whose values they are.
        column: the column's name, where it may be that of a date.
        spelling: how texts spell numbers and gaps.
    """
    reading = Reading(spelling, spelling.gaps, spelling.units.get(column or feature.name))
    if isinstance(feature, NumericFeature) and feature.date is not None and column == feature.date.column:
        return [_date_part(cell, feature.date, reading) for cell in cells]
    if isinstance(feature, CategoricalFeature):
        levels = frozenset(feature.levels)
        return [_level(cell, levels, reading) for cell in cells]
    found = _all_numbers(cells) if spelling == _PLAIN else None
    return [_number(cell, reading) for cell in cells] if found is None else found


@dataclass(frozen=True)
class Reading:
    """Holds how the texts of one column are read.

    Attributes:
        spelling: of the whole table.
        gaps: the texts that are gaps.
        unit: that its numbers are written with.
    """

    spelling: Spelling
    gaps: frozenset[str]
    unit: str | None

    def number(self, text: str) -> float | None:
        """Returns the number that a text spells, or None.

        Where nothing stands between thousands, a number may also be spelled plainly, because not every column need be
        spelled like the others.
        """
        if self.unit is None and self.spelling.plain:
            return _plain_number(text)
        found = number_of(text, self.spelling, self.unit)
        return found if found is not None or self.spelling.thousands else number_of(text, _PLAIN, self.unit)


def _plain_number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)  # float() would accept 1_000, which is no number in a table
    except ValueError:
        return None


def _date_part(cell: Any, date: DateSource, reading: Reading) -> Any:
    if _is_gap(cell, reading.gaps) or cell != cell:
        return None
    if hasattr(cell, "isoformat"):
        moment = moment_in(cell.isoformat(), "iso")
    else:
        number = _number(cell, reading) if date.format == "ymd" else None
        moment = moment_in(int(number) if isinstance(number, float) and number.is_integer() else cell, date.format)
    return cell if moment is None else part_of(moment, date.part)


def _all_numbers(cells: Sequence[Any]) -> list[Any] | None:
    """Returns the column if it holds only plain numbers, the usual case, which this handles fast; else None."""
    kinds = set(map(type, cells))
    if not kinds <= {float, int, str} or (str in kinds and any("_" in cell for cell in cells if type(cell) is str)):
        return None
    try:
        found = list(map(float, cells))
    except (ValueError, OverflowError):
        return None
    return None if any(map(math.isnan, found)) else found


def _number(cell: Any, reading: Reading) -> Any:
    if _is_gap(cell, reading.gaps):
        return None
    if isinstance(cell, str):
        found = reading.number(cell)
        return cell if found is None else found
    if _is_boolean(cell) or isinstance(cell, numbers.Number):
        try:
            return float(cell)
        except (TypeError, OverflowError):
            return cell
    return cell


def _level(cell: Any, levels: frozenset[str], reading: Reading) -> Any:
    if isinstance(cell, str) and cell in levels:
        return cell
    if _is_gap(cell, reading.gaps):
        return None
    if _is_boolean(cell):
        return level_text(cell)
    number = _number(cell, reading)
    meant = level_text(number) if isinstance(number, float) and math.isfinite(number) else cell
    if isinstance(cell, str):
        # The file has texts where the table of training had numbers or booleans.
        return next((text for text in (meant, cell.lower()) if text in levels), cell)
    return meant


def _is_gap(cell: Any, gaps: frozenset[str]) -> bool:
    if isinstance(cell, str):
        return not cell.strip() or cell in gaps
    return cell is None or (isinstance(cell, numbers.Number) and cell != cell)  # only NaN differs from itself


def _is_boolean(cell: Any) -> bool:
    return type(cell).__name__ in ("bool", "bool_")  # the names of the types in Python and numpy
