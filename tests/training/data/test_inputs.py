"""Features as callers in Python hold them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from chainzrule.service.artifact.features import CategoricalFeature, NumericFeature
from chainzrule.training.data.columns import FLOAT32_LIMIT, CategoricalColumn, NumericColumn
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.features import MISSING
from chainzrule.training.data.inputs import as_frame, encode_columns, matrix_columns, rows_of, table_columns

AGE = NumericFeature(name="age", mean=0, std=1, low=0, high=1, noise=0, fill=7.0)
DOSE = NumericFeature(name="dose", mean=0, std=1, low=0, high=1, noise=0)
TOWN = CategoricalFeature(name="town", levels=("Bern", "Graz", MISSING), fill=MISSING)
SITE = CategoricalFeature(name="site", levels=("1", "2"))
FEATURES = (AGE, DOSE, TOWN, SITE)


def table(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"age": [1.0, 2.0], "dose": [3, 4], "town": ["Graz", "Bern"], "site": [2, 1], **columns})


def test_a_matrix_is_columns_of_numbers() -> None:
    matrix = np.array([[1.0, np.nan], [-FLOAT32_LIMIT, 4.0]])
    columns = matrix_columns(matrix, ["a", "b"])
    assert [column.name for column in columns] == ["a", "b"]
    for place, column in enumerate(columns):
        assert isinstance(column, NumericColumn)
        np.testing.assert_array_equal(column.values, matrix[:, place])
    for bad in (np.inf, -np.inf, -1.001 * FLOAT32_LIMIT):
        with pytest.raises(DataError, match="too large for float32"):
            matrix_columns(np.array([[1.0, bad]]), ["a", "b"])


def test_a_table_is_read_by_what_its_columns_hold_and_by_what_is_said_of_them() -> None:
    frame = pd.DataFrame({0: [1, 2, 3], "town": ["Graz", "", "Graz"], "code": [3, 1, 3], "yes": [True, False, True]})
    with pytest.raises(DataError, match="column '0' counts the rows"):
        table_columns(frame, [], [])
    number, town, code, yes = table_columns(frame, ["code"], ["0", "yes"])
    assert isinstance(number, NumericColumn)
    assert (number.name, number.values.tolist()) == ("0", [1, 2, 3])
    assert isinstance(town, CategoricalColumn)
    assert (town.levels, town.codes.tolist()) == (("Graz",), [0, -1, 0])
    assert isinstance(code, CategoricalColumn)
    assert (code.levels, code.codes.tolist()) == (("1", "3"), [1, 0, 1])
    assert isinstance(yes, NumericColumn)
    assert yes.values.tolist() == [1, 0, 1]


def test_all_unusable_columns_are_named_at_once_and_unknown_names_refused() -> None:
    frame = pd.DataFrame({"a": ["x", "y", "z"], "b": [np.inf, 1.0, 2.0], "c": [1.0, 2.5, 4.0]})
    with pytest.raises(DataError) as caught:
        table_columns(frame, [], [])
    assert [line[:10] for line in str(caught.value).splitlines()] == ["column 'a'", "column 'b'"]
    for options, named in ((({"d"}, ()), "categorical"), (((), {"d"}), "numeric")):
        with pytest.raises(DataError, match=f"{named}: no column is named 'd'; there are a, b, c"):
            table_columns(frame, *options)  # type: ignore[arg-type]


def test_a_table_becomes_rows_in_the_features_order() -> None:
    expected = [[1, 3, 0, 1, 0, 0, 1], [2, 4, 1, 0, 0, 1, 0]]
    found = rows_of(table(), FEATURES)
    assert found.dtype == np.float32
    assert found.tolist() == expected
    # By place, whatever the columns are called; and whatever the rows are.
    renamed = table().set_axis(list("abcd"), axis=1).set_index(pd.Index([5, 5]))
    assert rows_of(renamed, FEATURES).tolist() == expected


def test_gaps_are_filled_where_training_saw_gaps() -> None:
    for gap in ([None, None], [None, 2.0]):
        assert rows_of(table(age=gap), FEATURES)[0, 0] == 7.0
    for gap in ([None, None], ["", "Bern"], [" ", None]):
        assert rows_of(table(town=gap), FEATURES)[0, 2:5].tolist() == [0, 0, 1]
    for name, gap in (("dose", [None, 4]), ("dose", [None, None]), ("site", [None, 1]), ("site", ["", ""])):
        with pytest.raises(DataError, match=f"column '{name}' has gaps"):
            rows_of(table(**{name: gap}), FEATURES)


def test_unknown_levels_and_other_kinds_are_refused() -> None:
    with pytest.raises(DataError, match="column 'town' holds 'Ulm', a level that was not in training"):
        rows_of(table(town=["Graz", "Ulm"]), FEATURES)
    other = TOWN.model_copy(update={"other": "Bern"})
    assert rows_of(table(town=["Graz", "Ulm"]), (AGE, DOSE, other, SITE))[:, 2:5].tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.raises(DataError, match="column 'dose' is to be numeric but holds text"):
        rows_of(table(dose=["x", "y"]), FEATURES)
    with pytest.raises(DataError, match="column 'town' is a category; give X as a DataFrame"):
        encode_columns(matrix_columns(np.ones((2, 1)), ["town"]), [TOWN])


def test_tables_of_arrow_and_polars_are_tables() -> None:
    frame = table()
    pd.testing.assert_frame_equal(as_frame(pa.Table.from_pandas(frame)), frame)
    for same in (frame, frame["age"], np.ones((2, 2)), [[1.0]]):
        assert as_frame(same) is same
    polars = pytest.importorskip("polars")
    found = as_frame(polars.from_pandas(frame).lazy())
    assert rows_of(found, FEATURES).tolist() == rows_of(frame, FEATURES).tolist()
    assert as_frame(polars.from_pandas(frame)["town"]).tolist() == ["Graz", "Bern"]
