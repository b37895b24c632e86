"""The sample as one table, of a file or of what one has in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainzrule.training.adopt.table import sample_frame
from chainzrule.training.errors import AdoptionError

FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", " "]}, index=[7, 9])


def test_a_table_keeps_its_columns_and_gets_its_target() -> None:
    found, target = sample_frame(FRAME, pd.Series([0, 1], name="sick", index=[3, 4]), None, None)
    assert target == "sick"
    assert list(found.columns) == ["a", "b", "sick"]
    assert found["sick"].tolist() == [0, 1]
    assert found["b"].isna().tolist() == [False, True]  # blank text is a gap
    assert list(FRAME.columns) == ["a", "b"]


def test_a_matrix_gets_names() -> None:
    found, target = sample_frame(np.eye(2), [0, 1], None, None)
    assert (list(found.columns), target) == (["x0", "x1", "target"], "target")
    assert sample_frame(np.eye(2), np.array([[0], [1]]), None, "sick")[1] == "sick"


def test_a_file_has_both(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "s.csv", index=False)
    found, target = sample_frame(None, None, tmp_path / "s.csv", "a")
    assert (list(found.columns), target) == (["a", "b"], "a")


@pytest.mark.parametrize(("parts", "said"), [
    ((None, None, None, None), "give the sample as X and y, or as a file (data) with the name of its target"),
    ((FRAME, None, None, None), "give the sample as X and y, or as a file (data) with the name of its target"),
    (
        (FRAME, [0, 1], Path("s.csv"), None),
        "give the sample as X and y, or as a file (data) with the name of its target",
    ),
    ((None, None, Path("s.csv"), None), "name the target, the column of the file that is predicted"),
    ((FRAME, [0, 1, 2], None, None), "X has 2 rows and y has 3"),
    ((FRAME, [0, 1], None, "a"), "X has a column 'a', which is the name of the target; name the target otherwise"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(parts: tuple[Any, ...], said: str) -> None:
    with pytest.raises(AdoptionError) as caught:
        sample_frame(*parts)
    assert str(caught.value) == said


def test_a_target_that_is_not_in_the_file_is_refused(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(AdoptionError, match="no column is named 'outcom'; --target names the column to predict"):
        sample_frame(None, None, tmp_path / "s.csv", "outcom")
