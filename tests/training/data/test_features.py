"""A column's description on the card, and its block of the input."""

import numpy as np
import pandas as pd
import pytest

from chainzrule.service.artifact.features import CategoricalFeature, NumericFeature
from chainzrule.training.data.columns import CategoricalColumn, NumericColumn, read_column
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.features import (
    MISSING,
    MOST_LEVELS,
    OTHER,
    describe,
    encode,
    is_constant,
    opened,
    refuse_id,
)

NAN = float("nan")


def column(*values: float, name: str = "c") -> NumericColumn:
    return NumericColumn(name, np.array(values, dtype=np.float64))


def words(*codes: int, levels: tuple[str, ...] = ("a", "b", "c")) -> CategoricalColumn:
    return CategoricalColumn("w", np.array(codes, dtype=np.int64), levels, ordered=False)


def numeric(*values: float, train: list[int] | None = None, weights: list[float] | None = None) -> NumericFeature:
    rows = np.array(range(len(values)) if train is None else train)
    found = describe(column(*values), rows, "m", None if weights is None else np.array(weights))
    assert isinstance(found, NumericFeature)
    return found


def test_statistics_are_those_of_the_rows_to_train_on() -> None:
    found = numeric(1.0, 2.0, 6.0, 1000.0, train=[0, 1, 2])
    assert (found.name, found.unit, found.fill) == ("c", "m", None)
    assert (found.mean, found.low, found.high) == (3.0, 1.0, 6.0)
    assert found.std == pytest.approx(np.std([1, 2, 6]))
    assert found.noise == pytest.approx(0.1 * np.std([1, 2, 6]))


def test_weights_count_rows_as_often_as_they_say() -> None:
    weighted, repeated = numeric(1.0, NAN, 2.0, 6.0, weights=[3, 5, 2, 2]), numeric(*[1.0] * 3, NAN, 2, 2, 6, 6)
    assert (weighted.mean, weighted.std) == (pytest.approx(repeated.mean), pytest.approx(repeated.std))
    assert (weighted.fill, repeated.fill) == (2.0, 2.0)


def test_a_gap_anywhere_gives_a_fill() -> None:
    assert numeric(1.0, 5.0, 2.0, NAN, train=[0, 1, 2]).fill == 2.0
    assert numeric(1.0, 5.0, 2.0).fill is None


def test_the_range_is_that_of_float32() -> None:
    found = numeric(0.1, 0.2, 0.3)
    assert (found.low, found.high) == (float(np.float32(0.1)), float(np.float32(0.3)))


@pytest.mark.parametrize(("value", "std"), [(5.0, 5.0), (-5.0, 5.0), (0.0, 1.0)])
def test_one_value_says_nothing_and_has_no_noise(value: float, std: float) -> None:
    found = numeric(value, value, value)
    assert (found.mean, found.std, found.noise) == (value, std, 0.0)
    assert numeric(0.0, 1e-42).std == pytest.approx(5e-43)  # told apart in float64, and not in float32


def test_two_values_are_no_measurement() -> None:
    assert numeric(0.0, 1.0, 1.0).noise == 0.0
    assert numeric(0.0, 1.0, 2.0).noise > 0.0


def test_levels_are_the_whole_columns_and_a_gap_is_one() -> None:
    train = np.array([0])
    assert describe(words(0, 1, 2), train) == CategoricalFeature(name="w", levels=("a", "b", "c"))
    expected = CategoricalFeature(name="w", levels=("a", "b", MISSING), fill=MISSING)
    assert describe(words(0, 1, -1, levels=("a", "b")), train) == expected
    assert describe(words(0, -1, levels=(MISSING, "b")), train).model_dump()["levels"] == (MISSING, "b")
    assert describe(words(0, 0, levels=("a",)), train).model_dump()["levels"] == ("a", MISSING)


def test_there_may_be_64_levels_with_that_of_gaps() -> None:
    names = tuple(map(str, range(MOST_LEVELS)))
    assert len(describe(words(0, 1, levels=names), np.array([0])).model_dump()["levels"]) == 64
    merged = describe(words(*[*range(64)] * 2, 5, 7, -1, levels=names), np.arange(130))
    assert isinstance(merged, CategoricalFeature)
    assert merged.levels == (*(str(level) for level in range(62)), OTHER, MISSING)
    assert (merged.fill, merged.other) == (MISSING, OTHER)


def test_of_too_many_levels_the_commonest_of_the_training_rows_stay() -> None:
    names = tuple(map(str, range(70)))
    codes = [*range(70), *[*range(10, 70)] * 2]
    found = describe(words(*codes, levels=names), np.arange(190))
    assert isinstance(found, CategoricalFeature)
    assert found.levels == (*names[:3], *names[10:], OTHER)
    column = words(69, 3, 0, levels=names)
    assert encode(column, found).argmax(axis=1).tolist() == [62, 63, 0]
    weighted = describe(words(*codes, levels=names), np.arange(190), weights=np.arange(190) % 2 + 1e-3)
    assert isinstance(weighted, CategoricalFeature)
    assert set(weighted.levels) != set(found.levels)
    with pytest.raises(DataError, match="has 400 levels, most of them in few rows, like free text; drop it"):
        describe(words(*range(400), levels=tuple(map(str, range(400)))), np.arange(400))


def test_opened_a_feature_takes_gaps_and_unknown_levels() -> None:
    numbers = column(1.0, 2.0, 7.0, 100.0)
    assert opened(describe(numbers, np.arange(3)), numbers, np.arange(3)).fill == 2.0
    gaps = column(1.0, 2.0, 7.0, NAN)
    described = describe(gaps, np.arange(4))
    assert opened(described, gaps, np.arange(4)) == described
    texts = words(0, 1, 1, 2, 2, 2)
    found = opened(describe(texts, np.arange(3)), texts, np.arange(3))
    assert isinstance(found, CategoricalFeature)
    assert (found.fill, found.other) == ("b", "b")
    weights = np.array([9.0, 1.0, 1.0])
    assert opened(describe(texts, np.arange(3)), texts, np.arange(3), weights).fill == "a"
    missing = words(0, 1, 1, -1)
    found = opened(describe(missing, np.arange(4)), missing, np.arange(4))
    assert isinstance(found, CategoricalFeature)
    assert (found.fill, found.other) == (MISSING, "b")


def test_blocks_are_filled_and_one_hot() -> None:
    gaps = column(1.5, NAN)
    feature = NumericFeature(name="c", mean=0, std=1, low=0, high=1, noise=0, fill=7.0)
    assert encode(gaps, feature).tolist() == [[1.5], [7.0]]
    kept = encode(gaps, feature.model_copy(update={"fill": None}))
    assert (kept.dtype, kept[0, 0], np.isnan(kept[1, 0])) == (np.float32, 1.5, True)
    levels = CategoricalFeature(name="w", levels=("c", "a", MISSING), fill=MISSING)
    found = encode(words(1, 0, -1, levels=("a", "c")), levels)
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_a_column_is_not_encoded_as_another_kind() -> None:
    numbers, texts = read_column(pd.Series([1.5, 2, 4], name="n")), read_column(pd.Series(["a", "b", "a"], name="w"))
    with pytest.raises(TypeError, match="column 'n'"):
        encode(numbers, describe(texts, np.arange(3)))
    with pytest.raises(TypeError, match="column 'w'"):
        encode(texts, describe(numbers, np.arange(3)))


@pytest.mark.parametrize(
    ("refused", "taken"),
    [
        (column(4, 5, 6), column(4, 5, 7)),
        (column(4, 5, 6), column(4, 5)),
        (column(4, 5, 6), column(4, 5, 6, NAN)),
        (column(9, 2, 5, name="userID"), column(9, 2, 5, name="acid")),
        (column(9, 2, 5, name="id"), column(9, 2, 2, name="id")),
        (column(9, 2, 5, name="id"), column(9, 2, 5.5, name="id")),
        (words(0, 1, 2), words(0, 1, 2, 2)),
    ],
)
def test_what_only_tells_rows_apart_is_refused(refused: NumericColumn, taken: NumericColumn) -> None:
    refuse_id(taken)
    with pytest.raises(DataError, match="drop it"):
        refuse_id(refused)


def test_what_is_constant_where_it_is_trained_is_known() -> None:
    for constant in (column(1, 1, 2), column(1, NAN, 2), column(NAN, NAN, 2), words(0, 0, 1), words(-1, -1, 1)):
        assert is_constant(constant, np.array([0, 1]))
    for varied in (column(1, 1, 2), column(1, NAN, 2), words(0, 0, 1), words(-1, -1, 1)):
        assert not is_constant(varied, np.arange(3))
    assert not is_constant(words(0, -1), np.arange(2))  # a gap is a level
    with pytest.raises(DataError, match="too little for float32"):
        is_constant(column(0.0, 1e-42), np.arange(2))


def test_a_column_without_a_value_to_train_on_is_refused() -> None:
    with pytest.raises(DataError, match="column 'c' holds no value in the rows to train on"):
        describe(column(NAN, 1.0), np.array([0]))
