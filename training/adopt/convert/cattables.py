"""Works out the numbers that CatBoost makes of categories, as tables over the levels that are known beforehand.

CatBoost replaces levels, and combinations of them with each other and with questions about numbers, by statistics of
the training rows that had them. A combination is found by a hash of its parts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.errors import AdoptionError

MOST_CELLS = 1 << 20  # of all tables together, in which a model has a number for every combination of levels
MULTIPLIER = np.uint64(0x4906BA494954CB65)
EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)  # the key of an unused place of CatBoost's hash maps
MEANS = ("BinarizedTargetMeanValue", "FloatTargetMeanValue")
COUNTS = ("Counter", "FeatureFreq")

Hashes = NDArray[np.uint64]
Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Question:
    """Is a question about a number: whether the column is above a border."""

    column: int
    border: float


@dataclass(frozen=True)
class Table:
    """Holds numbers for every combination of levels and of answers to questions.

    Attributes:
        columns: the columns of categories, whose levels count slower than those of the columns behind them.
        questions: about numbers, which count faster than the levels.
        values: (combinations, m) the numbers. Each column's last level stands for one that is not known.
    """

    columns: tuple[int, ...]
    questions: tuple[Question, ...]
    values: Matrix


@dataclass(frozen=True)
class Categories:
    """Says how CatBoost hashes a sample's levels: by column, the hash of each in order, without that of an unknown."""

    hashes: Mapping[int, Sequence[int]]

    def sizes(self, columns: Sequence[int]) -> tuple[int, ...]:
        """Returns how many levels columns have, the unknown one counted."""
        return tuple(len(self.hashes[column]) + 1 for column in columns)


def tables_of(model: Mapping[str, Any], categories: Categories) -> Iterator[Table]:
    """Yields a table for each one-hot column, and then for each statistic, in the order of the model's splits.

    Args:
        model: CatBoost's own description, in JSON.
        categories: the levels.

    Raises:
        AdoptionError: there are too many combinations.
    """
    described = model["features_info"]
    places = {one["feature_index"]: one["flat_feature_index"] for one in described.get("categorical_features") or []}
    numbers = {one["feature_index"]: one["flat_feature_index"] for one in described.get("float_features") or []}
    for one in described.get("categorical_features") or []:
        if one.get("values"):
            yield _one_hot(one["flat_feature_index"], one["values"], categories)
    cells = 0
    for statistic in described.get("ctrs") or []:
        columns, questions = _parts(statistic["elements"], places, numbers)
        sizes = (*categories.sizes(columns), *(2 for _ in questions))
        cells += int(np.prod(sizes, dtype=np.float64))
        if cells > MOST_CELLS:
            raise AdoptionError(
                f"the CatBoost model tells more than {MOST_CELLS:,} combinations of categories apart; fit it with "
                "max_ctr_complexity=1"
            )
        grid = np.indices(sizes).reshape(len(sizes), -1)
        keys, known = _keys(statistic["elements"], columns, places, questions, grid, categories)
        values = _statistic(statistic, model["ctr_data"][statistic["identifier"]], keys, known)
        yield Table(columns, questions, values[:, None])


def _one_hot(column: int, wanted: Sequence[int], categories: Categories) -> Table:
    """Returns for each level whether it is each of those that the model asks for."""
    (levels,) = categories.sizes((column,))
    hashes = np.array(categories.hashes[column], np.int64).astype(np.uint32)
    values = np.zeros((levels, len(wanted)), np.float32)
    values[:-1] = hashes[:, None] == np.array(wanted, np.int64).astype(np.uint32)
    return Table((column,), (), values)


def _parts(
    elements: Sequence[Mapping[str, Any]], places: Mapping[int, int], numbers: Mapping[int, int]
) -> tuple[tuple[int, ...], tuple[Question, ...]]:
    """Returns the columns and questions that a statistic's combinations are made of."""
    columns = tuple(dict.fromkeys(places[one["cat_feature_index"]] for one in elements if "cat_feature_index" in one))
    asked = [one for one in elements if one["combination_element"] == "float_feature"]
    return columns, tuple(Question(numbers[one["float_feature_index"]], float(one["border"])) for one in asked)


def _keys(
    elements: Sequence[Mapping[str, Any]],
    columns: Sequence[int],
    places: Mapping[int, int],
    questions: Sequence[Question],
    grid: NDArray[np.int64],
    categories: Categories,
) -> tuple[Hashes, NDArray[np.bool_]]:
    """Returns the hash of every combination, and whether all of its levels that are hashed are known."""
    hashes = {  # CatBoost widens the hash of a level as a signed number
        column: np.array([*categories.hashes[column], 0], np.int64).astype(np.int32).astype(np.int64).astype(np.uint64)
        for column in columns
    }
    axes = {column: axis for axis, column in enumerate(columns)}
    keys = np.zeros(grid.shape[1], np.uint64)
    known = np.ones(grid.shape[1], bool)
    asked = len(columns)
    for one in elements:
        if one["combination_element"] == "float_feature":
            part = grid[asked].astype(np.uint64)
            asked += 1
        else:
            column = places[one["cat_feature_index"]]
            levels = grid[axes[column]]
            unknown = levels == len(categories.hashes[column])
            part = hashes[column][levels]
            if one["combination_element"] == "cat_feature_exact_value":
                wanted = np.uint64(np.int64(np.int32(np.uint32(int(one["value"]) & 0xFFFFFFFF))))
                part = ((part == wanted) & ~unknown).astype(np.uint64)
            else:
                known &= ~unknown
        keys = MULTIPLIER * (keys + MULTIPLIER * part)
    return keys, known


def _statistic(described: Mapping[str, Any], data: Mapping[str, Any], keys: Hashes, known: NDArray[np.bool_]) -> Matrix:
    """Returns the statistic of every combination; one without training rows has what is expected beforehand."""
    stride = int(data["hash_stride"])
    rows = [data["hash_map"][start : start + stride] for start in range(0, len(data["hash_map"]), stride)]
    held = np.array([int(row[0]) for row in rows], np.uint64)
    history = np.array([[float(value) for value in row[1:]] for row in rows], np.float32)
    order = np.argsort(held)
    places = np.minimum(np.searchsorted(held[order], keys), len(held) - 1)
    found = (held[order][places] == keys) & known & (keys != EMPTY)
    taken = np.where(found[:, None], history[order][places], np.float32(0))
    kind, border = described["ctr_type"], int(described.get("target_border_idx", 0))
    if kind in MEANS:
        part, whole = taken[:, 0], taken[:, 1]
    elif kind in COUNTS:
        part, whole = taken[:, 0], np.where(found, np.float32(data["counter_denominator"]), np.float32(0))
    elif kind == "Buckets":
        part, whole = taken[:, border], taken.sum(axis=1)
    else:
        part, whole = taken[:, border + 1 :].sum(axis=1), taken.sum(axis=1)
    prior, base = np.float32(described["prior_numerator"]), np.float32(described["prior_denomerator"])
    share = (part + prior) / (whole + base)
    return np.asarray((share + np.float32(described["shift"])) * np.float32(described["scale"]), np.float32)
