"""What the tests of the package share."""

import pandas as pd
import pytest

from tests import tables


@pytest.fixture
def patients() -> pd.DataFrame:
    """A small table with a category, gaps and a column of two values."""
    return tables.patients()
