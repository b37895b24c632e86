"""Encodes rows as callers send them into the float32 matrix that the graph takes; every error names its place."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import CategoricalFeature, NumericFeature, level_text
from chainzrule.service.artifact.interface import Interface
from chainzrule.service.errors import InvalidInput
from chainzrule.service.naming import LONGEST_KNOWN, plain
from chainzrule.service.runtime import refusals
from chainzrule.service.runtime.dates import moment_in, part_of
from chainzrule.service.stability.noise import noise_of
from chainzrule.service.stability.ranges import Ranges

Matrix = NDArray[np.float32]
MOST_FURTHER = 1000  # members that a lenient row may have besides its features where it lacks some of them
_NUMBERS = frozenset((int, float))
_LEVELS = frozenset((str, bool, int, float))
_FLOAT32_MAX = float(np.finfo(np.float32).max)


class RowEncoder:
    """Encodes rows for one model.

    Attributes:
        names: the features' names, in the order in which a row that is a list gives their values.
        width: the number of columns of the encoded matrix, D.
        start: the first column of each feature, by name.
        column_names: (D,) the name of each column; for a categorical feature, `feature=level`.
        column_features: (D,) the feature that each column belongs to.
        ranges: the ranges that training saw of the numeric features.
        noise: (D,) one noise sigma of each column; 0 in one-hot blocks.
        errors: how that noise is distributed.
        pixel: the card's one feature, which stands for all pixels of an image; None where it is no image's.
        gaps: (D,) the columns that may be NaN, because the model itself takes gaps; None where there is none.
    """

    def __init__(self, interface: Interface) -> None:
        self._features = tuple(interface.inputs())
        self._by_name = {feature.name: feature for feature in self._features}
        self.names = tuple(feature.name for feature in self._features)
        self.width = interface.width
        self._numeric = all(isinstance(feature, NumericFeature) for feature in self._features)
        self.pixel = interface.features[0].name if interface.layout else None
        self._layout, self._target = interface.layout, interface.target
        self._lenient = bool(interface.lenient)
        self._dates: dict[str, list[NumericFeature]] = {}
        for feature in self._features:
            if isinstance(feature, NumericFeature) and feature.date is not None:
                self._dates.setdefault(feature.date.column, []).append(feature)
        self._places = {
            feature.name: {level: place for place, level in enumerate(feature.levels)}
            for feature in self._features
            if isinstance(feature, CategoricalFeature)
        }
        numeric: list[NumericFeature] = []
        columns: list[int] = []
        self.start: dict[str, int] = {}
        self.column_names: list[str] = []
        self.column_features: list[str] = []
        at = 0
        for feature in self._features:
            self.start[feature.name] = at
            if isinstance(feature, NumericFeature):
                numeric.append(feature)
                columns.append(at)
                self.column_names.append(feature.name)
            else:
                self.column_names += [f"{feature.name}={level}" for level in feature.levels]
            at = len(self.column_names)
            self.column_features += [feature.name] * (at - len(self.column_features))
        self.ranges = Ranges(
            [feature.name for feature in numeric],
            np.array(columns, dtype=np.int64),
            [feature.low for feature in numeric],
            [feature.high for feature in numeric],
            interface.width,
            pooled=interface.layout is not None,
        )
        self.noise = np.zeros(interface.width)
        self.noise[self.ranges.columns] = [feature.noise for feature in numeric]
        self.errors = noise_of(self._features, interface.noise)
        self.gaps: NDArray[np.bool_] | None = None
        if any(feature.gaps for feature in numeric):
            self.gaps = np.zeros(interface.width, np.bool_)
            self.gaps[self.ranges.columns] = [bool(feature.gaps) for feature in numeric]

    def encode(self, instances: Sequence[Any] | NDArray[np.float64]) -> Matrix:
        """Encodes rows, each a list in the order of `names` or an object by feature name, or all of them as a matrix.

        Returns:
            The (rows, D) float32 matrix, which is finite but for gaps that the model takes.

        Raises:
            InvalidInput: a row is not a valid input of this model.
        """
        if isinstance(instances, np.ndarray):
            if self._numeric and instances.shape[1] == self.width and _fits_float32(instances):
                return instances.astype(np.float32)
            instances = instances.tolist()
        rows = [self._ordered(i, row) for i, row in enumerate(instances)]
        try:
            with np.errstate(over="ignore"):
                if self._numeric and all(_NUMBERS.issuperset(map(type, row)) for row in rows):
                    matrix = np.array(rows, dtype=np.float32).reshape(len(rows), self.width)
                else:
                    matrix = self._mixed(rows)
        except OverflowError:
            raise InvalidInput("hold a whole number that is too large for any float", "instances") from None
        self.require_finite(matrix)
        return matrix

    def require_finite(self, matrix: Matrix, place: str = "instances") -> None:
        """Refuses a matrix, (rows, D), that holds infinity, or NaN where the model takes no gap.

        Args:
            matrix: the rows.
            place: what the request calls its rows.

        Raises:
            InvalidInput: a value is not finite; the error names the row and the feature.
        """
        finite = np.isfinite(matrix)
        if not finite.all() and self.gaps is not None:
            finite |= np.isnan(matrix) & self.gaps
        if not finite.all():
            row, column = np.argwhere(~finite)[0].tolist()
            raise InvalidInput("is not finite as a 32-bit float", f"{place}[{row}].{self._feature_at(column)}")

    def levels(self, name: str) -> tuple[str, ...]:
        """Returns the levels of a categorical feature; raises `TypeError` for a numeric one."""
        feature = self._by_name[name]
        if not isinstance(feature, CategoricalFeature):
            raise TypeError(f"{name} is not categorical")
        return feature.levels

    def level(self, name: str, row: NDArray[np.float32]) -> str:
        """Returns the level of a categorical feature in an encoded row, (D,)."""
        levels, start = self.levels(name), self.start[name]
        return levels[int(row[start : start + len(levels)].argmax())]

    def _ordered(self, i: int, row: Any) -> list[Any]:
        if type(row) is list:
            if len(row) != len(self.names):
                raise refusals.wrong_length(row, len(self.names), self._layout, f"instances[{i}]")
            return row
        if type(row) is not dict:
            raise refusals.no_row(row, f"instances[{i}]")
        if self._dates:
            row = self._undated(i, row)
        try:
            values = [row[name] for name in self.names]
        except KeyError:
            return self._incomplete(i, row)
        if len(row) > len(self.names) and not self._lenient:
            raise refusals.further(row, self.names, self._target, f"instances[{i}]")
        return values

    def _undated(self, i: int, row: dict[str, Any]) -> dict[str, Any]:
        """Returns a row with the parts of its dates in place of the dates."""
        found = dict(row)
        for column, parts in self._dates.items():
            if column not in found:
                if not self._lenient and not any(part.name in found for part in parts):
                    raise InvalidInput("is missing", self._place(i, column))
                continue
            value = found.pop(column)
            if value is None or (self._lenient and type(value) is str and not value.strip()):
                found.update((part.name, None) for part in parts)
                continue
            assert parts[0].date is not None
            moment = moment_in(value, parts[0].date.format)
            if moment is None:
                raise refusals.no_date(value, parts[0].date.format, self._place(i, column))
            found.update((part.name, part_of(moment, part.date.part)) for part in parts if part.date is not None)
        return found

    def _incomplete(self, i: int, row: dict[str, Any]) -> list[Any]:
        """Returns the values of a row that lacks features, which a lenient model takes for gaps.

        A feature that is there under another spelling is never taken for a gap, nor is the whole row.
        """
        lacking = [name for name in self.names if name not in row]
        few = len(row) <= len(self.names) + MOST_FURTHER  # the names of so many can be looked at
        if self._lenient and few and len(lacking) < len(self.names):
            meant = frozenset(map(plain, lacking))
            others = (name for name in row if name not in self.start and len(name) <= LONGEST_KNOWN)
            if not any(plain(name) in meant for name in others):
                return [row.get(name) for name in self.names]
        raise refusals.missing(row, self.names, f"instances[{i}]")

    def _mixed(self, rows: list[list[Any]]) -> Matrix:
        matrix = np.zeros((len(rows), self.width), dtype=np.float32)
        for position, feature in enumerate(self._features):
            at = self.start[feature.name]
            values = [row[position] for row in rows]
            if isinstance(feature, NumericFeature):
                matrix[:, at] = [self._number(i, feature, value) for i, value in enumerate(values)]
            else:
                chosen = [self._level(i, feature, value) for i, value in enumerate(values)]
                matrix[np.arange(len(rows)), at + np.array(chosen, dtype=np.int64)] = 1.0
        return matrix

    def _number(self, i: int, feature: NumericFeature, value: Any) -> float:
        if type(value) in _NUMBERS:
            return float(value)
        if type(value) is str and self._lenient:
            number = refusals.number_in(value)
            if number is not None:
                return number
            value = value.strip() or None
        if value is None and (feature.fill is not None or feature.gaps):
            return math.nan if feature.fill is None else feature.fill
        raise refusals.no_number(value, feature, self._place(i, feature.name))

    def _level(self, i: int, feature: CategoricalFeature, value: Any) -> int:
        places = self._places[feature.name]
        if type(value) is str:
            place = places.get(value)
        elif value is None:
            place = None if feature.fill is None else places[feature.fill]
        else:
            # Levels that were numbers or booleans in training are taken as such.
            place = places.get(level_text(value)) if type(value) in _LEVELS else None
        if place is not None:
            return place
        if feature.other is not None and type(value) in _LEVELS:
            return places[feature.other]
        raise refusals.no_level(value, feature, self._place(i, feature.name))

    def _feature_at(self, column: int) -> str:
        return self.column_features[column]

    @staticmethod
    def _place(i: int, name: str) -> str:
        return f"instances[{i}].{name}"


def _fits_float32(matrix: NDArray[np.float64]) -> bool:
    # The sum of squares nearly always decides, in one cheap call; numpy's reductions take microseconds for one row.
    return bool(np.vdot(matrix, matrix) <= _FLOAT32_MAX**2 or np.abs(matrix).max() <= _FLOAT32_MAX)
