"""Names a library's classes as a sample's target names its labels."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from chainzrule.training.data.columns import CategoricalColumn, read_column


def label_names(classes: Iterable[Any]) -> tuple[str, ...]:
    """Returns the names, in the same order: whole numbers without a decimal point, booleans as `false` and `true`."""
    names: list[str] = []
    for one in classes:
        read = read_column(pd.Series([one], name="label"), "categorical")
        assert isinstance(read, CategoricalColumn)
        names += read.levels
    return tuple(names)
