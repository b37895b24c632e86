"""Converts a table's cells to the values that the service takes, reading numbers, levels and gaps as training does."""

import math
import numbers
from collections.abc import Collection, Sequence
from typing import Any

from chainzrule.service.artifact.features import CategoricalFeature, DateSource, Feature, NumericFeature, level_text
from chainzrule.service.runtime.dates import moment_in, part_of

# pandas reads these as gaps in a CSV file, and so training did.
GAPS = frozenset(
    {
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    }
)


def column_of(feature: Feature, names: Collection[str]) -> str | None:
    """Returns the column of a table that has a feature's values, or the date that they are part of; None where none."""
    if feature.name in names:
        return feature.name
    date = feature.date if isinstance(feature, NumericFeature) else None
    return date.column if date is not None and date.column in names else None


def values_of(cells: Sequence[Any], feature: Feature, column: str | None = None) -> list[Any]:
    """Returns the values of one column; cells that are no value of the feature stay, for the service to refuse.

    Args:
        cells: the column's cells.
        feature: whose values they are.
        column: the column's name, where it may be that of a date.
    """
    if isinstance(feature, NumericFeature) and feature.date is not None and column == feature.date.column:
        return [_date_part(cell, feature.date) for cell in cells]
    if isinstance(feature, CategoricalFeature):
        levels = frozenset(feature.levels)
        return [_level(cell, levels) for cell in cells]
    found = _all_numbers(cells)
    return [_number(cell) for cell in cells] if found is None else found


def _date_part(cell: Any, date: DateSource) -> Any:
    if _is_gap(cell) or cell != cell:
        return None
    if hasattr(cell, "isoformat"):
        moment = moment_in(cell.isoformat(), "iso")
    else:
        number = _number(cell) if date.format == "ymd" else None
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


def _number(cell: Any) -> Any:
    if _is_gap(cell):
        return None
    if isinstance(cell, str):
        try:
            return cell if "_" in cell else float(cell)  # float() would accept 1_000, which is no number in a table
        except ValueError:
            return cell
    if _is_boolean(cell) or isinstance(cell, numbers.Number):
        try:
            return float(cell)
        except (TypeError, OverflowError):
            return cell
    return cell


def _level(cell: Any, levels: frozenset[str]) -> Any:
    if isinstance(cell, str) and cell in levels:
        return cell
    if _is_gap(cell):
        return None
    if _is_boolean(cell):
        return level_text(cell)
    number = _number(cell)
    meant = level_text(number) if isinstance(number, float) and math.isfinite(number) else cell
    if isinstance(cell, str):
        # The file has texts where the table of training had numbers or booleans.
        return next((text for text in (meant, cell.lower()) if text in levels), cell)
    return meant


def _is_gap(cell: Any) -> bool:
    if isinstance(cell, str):
        return not cell.strip() or cell in GAPS
    return cell is None or (isinstance(cell, numbers.Number) and cell != cell)  # only NaN differs from itself


def _is_boolean(cell: Any) -> bool:
    return type(cell).__name__ in ("bool", "bool_")  # the names of the types in Python and numpy
