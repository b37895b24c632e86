"""Settings of the data: what goes with what, and which of them a configuration's hash has."""

from typing import Any

import pytest
from pydantic import ValidationError

from chainzrule.training.data.config import LATER, DataConfig

TABLE: dict[str, Any] = {"source": "table", "path": "a.csv", "target": "y"}


def test_settings_that_came_later_are_known_while_they_are_not_used() -> None:
    assert DataConfig(**TABLE).later == set(LATER)
    used = DataConfig(**TABLE, decimal=",", na=["?"], dates={"seen": "dmy"}, lenient=True)
    assert used.later == set(LATER) - {"decimal", "na", "dates", "lenient"}


@pytest.mark.parametrize(
    "content",
    [
        {"source": "table", "path": "a.csv"},
        {"source": "wine", "lenient": True},
        {"source": "wine", "path": "a.csv"},
        {**TABLE, "decimal": ";"},
        {**TABLE, "thousands": ";"},
        {**TABLE, "dates": {"seen": "never"}},
        {**TABLE, "levels": ["a", "b"]},
        {**TABLE, "unknown": 1},
        {**TABLE, "vectors": "a.txt"},
        {"source": "yelp-full", "vectors": "a", "encoder": "b"},
    ],
)
def test_what_does_not_go_together_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DataConfig.model_validate(content)
