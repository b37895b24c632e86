import numpy as np
import pandas as pd
import pytest

from chainzrule.instances import instances_of
from chainzrule.service.errors import InvalidInput
from tests.artifacts import CLASSIFIER, MIXED


def test_a_frames_columns_are_read_by_name_and_others_passed_over() -> None:
    frame = pd.DataFrame(
        {
            "site": pd.Categorical(["north", "south"]),
            "patient": ["a", "b"],
            "dose": pd.array([1, None], dtype="Int64"),
            "colour": [None, "red"],
            "age": [np.nan, 40.5],
        }
    )
    assert instances_of(frame, MIXED.card()) == [[None, None, 1.0, "north"], [40.5, "red", None, "south"]]


def test_a_frame_without_a_feature_is_refused() -> None:
    with pytest.raises(InvalidInput, match="rows: has no column weight"):
        instances_of(pd.DataFrame({"height": [1.0]}), CLASSIFIER.card())


def test_a_matrix_stays_one_and_its_nans_are_gaps() -> None:
    matrix = np.array([[1, 2], [3, 4]], dtype=np.int32)
    found = instances_of(matrix, CLASSIFIER.card())
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    assert instances_of(np.array([[1.0, np.nan]]), CLASSIFIER.card()) == [[1.0, None]]
    assert instances_of(np.array([[1.5, "red"]], dtype=object), CLASSIFIER.card()) == [[1.5, "red"]]


def test_a_matrix_has_two_dimensions() -> None:
    with pytest.raises(InvalidInput, match="two dimensions"):
        instances_of(np.zeros(3), CLASSIFIER.card())


def test_numpys_numbers_in_rows_become_pythons() -> None:
    rows = [(np.float32(1.5), np.int64(2)), {"height": np.float64(1.0), "weight": 2}, np.array([3.0, 4.0])]
    found = instances_of(rows, CLASSIFIER.card())
    assert found == [[1.5, 2], {"height": 1.0, "weight": 2}, [3.0, 4.0]]
    assert type(found[0][0]) is float
    assert instances_of(["row"], CLASSIFIER.card()) == ["row"]
