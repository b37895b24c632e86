import numpy as np
import pandas as pd
import pytest

from chainzrule.training.adopt.convert.naming import label_names
from chainzrule.training.data.target import read_target


@pytest.mark.parametrize(("classes", "names"), [
    (np.array([2, 0, 1]), ("2", "0", "1")),
    (np.array([1.0, 0.0]), ("1", "0")),
    (np.array([True, False]), ("true", "false")),
    (np.array(["b", "a"], dtype=object), ("b", "a")),
])  # fmt: skip
def test_classes_keep_their_order_and_are_named_as_a_target_is(classes: np.ndarray, names: tuple[str, ...]) -> None:
    assert label_names(classes) == names
    assert set(names) == set(read_target(pd.Series(np.repeat(classes, 9), name="y"), "classification").labels)
