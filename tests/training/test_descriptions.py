"""What people are told of columns reaches the card, and only where it fits."""

import numpy as np
import pytest

from chainzrule.service.artifact.features import CategoricalFeature
from chainzrule.training.columns import Columns
from chainzrule.training.descriptions import ColumnConfig, described
from chainzrule.training.errors import ConfigError
from tests.artifacts import numeric

AGE = numeric("age")
SITE = CategoricalFeature(name="site", levels=("1", "2"))


def told(**columns: object) -> tuple[object, ...]:
    return described((AGE, SITE), {name: ColumnConfig.model_validate(content) for name, content in columns.items()})


def test_descriptions_units_and_levels_are_put_into_the_features() -> None:
    age, site = told(
        age={"description": "at the first visit", "unit": "years"},
        site={"description": "where it was measured", "levels": {"2": "the other clinic"}},
    )
    assert age == AGE.model_copy(update={"description": "at the first visit", "unit": "years"})
    assert site == SITE.model_copy(
        update={"description": "where it was measured", "meanings": {"2": "the other clinic"}}
    )


def test_what_nothing_is_told_of_stays_as_it_is() -> None:
    assert told() == (AGE, SITE)
    assert told(site={}) == (AGE, SITE)
    named = described((AGE.model_copy(update={"unit": "years"}),), {"age": ColumnConfig(description="of a person")})
    assert named[0].unit == "years"  # type: ignore[union-attr]


def test_it_changes_nothing_that_the_network_takes() -> None:
    one, two = Columns.of((AGE, SITE), None), Columns.of(told(age={"description": "x", "unit": "y"}), None)  # type: ignore[arg-type]
    for name in ("mean", "std", "low", "high", "noise"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"weight": {}}, r"columns.weight: there is no such column; there are age, site"),
        ({"age": {"levels": {"1": "one"}}}, r"columns.age.levels: the column is of numbers"),
        ({"site": {"unit": "m"}}, r"columns.site.unit: the column is a category"),
        ({"site": {"levels": {"3": "three"}}}, r"columns.site.levels: there is no level '3'; there are 1, 2"),
    ],
    ids=["no column", "levels of numbers", "unit of a category", "no level"],
)
def test_what_does_not_fit_is_refused(columns: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        told(**columns)
