"""Makes the sample one table, with its target, of a file or of what one has in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chainzrule.training.data.columns import blank_to_gap
from chainzrule.training.data.tablefile import read_table
from chainzrule.training.errors import AdoptionError


def sample_frame(X: Any, y: Any, data: Path | None, target: str | None) -> tuple[pd.DataFrame, str]:
    """Returns the sample and the name of its target.

    Args:
        X: a table, or a matrix, whose columns are then named x0, x1 and so on.
        y: the target of its rows.
        data: a file of both, in their place.
        target: the target's column in the file, or the name of `y` where it has none.

    Raises:
        AdoptionError: neither or both are given, or they do not fit.
        DataError: the file cannot be read.
    """
    if (X is None) == (data is None) or (y is None) != (X is None):
        raise AdoptionError("give the sample as X and y, or as a file (data) with the name of its target")
    if data is not None:
        if target is None:
            raise AdoptionError("name the target, the column of the file that is predicted")
        frame = read_table(data)
        if target not in frame.columns:
            raise AdoptionError(f"{data}: no column is named '{target}'; --target names the column to predict")
        return frame.apply(blank_to_gap), target
    goal = np.asarray(y).reshape(-1) if not isinstance(y, pd.Series) else y
    name = str(target or getattr(y, "name", None) or "target")
    columns = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X)).add_prefix("x")
    if len(columns) != len(goal):
        raise AdoptionError(f"X has {len(columns)} rows and y has {len(goal)}")
    columns = columns.set_axis([str(column) for column in columns.columns], axis=1).reset_index(drop=True)
    if name in columns.columns:
        raise AdoptionError(f"X has a column '{name}', which is the name of the target; name the target otherwise")
    return columns.apply(blank_to_gap).assign(**{name: pd.Series(goal).reset_index(drop=True)}), name
