"""What CatBoost makes of levels, worked out from a description that is written down here."""

from typing import Any

import numpy as np
import pytest

from chainzrule.training.adopt.convert.cattables import Categories, Question, tables_of
from chainzrule.training.errors import AdoptionError

ALL = 0xFFFFFFFFFFFFFFFF
JOBS, TOWNS = (7, 0x90000000), (11,)  # hashes of levels, of which the second is negative as a signed number
CATEGORIES = Categories({1: JOBS, 3: TOWNS})


def hashed(*parts: int) -> int:
    found = 0
    for part in parts:
        signed = part | (ALL ^ 0xFFFFFFFF) if part & 0x80000000 else part
        found = 0x4906BA494954CB65 * (found + 0x4906BA494954CB65 * signed) & ALL
    return found


def described(kind: str, elements: list[dict[str, Any]], rows: list[Any], **parts: Any) -> dict[str, Any]:
    """A model of one statistic with 1 of 2 as what is expected beforehand, in steps of 0.1."""
    statistic = {
        "elements": elements, "identifier": "one", "ctr_type": kind, "target_border_idx": 0, "prior_numerator": 1,
        "prior_denomerator": 2, "shift": 0.5, "scale": 10,
    }  # fmt: skip
    held = [value for row in rows for value in row]
    return {
        "features_info": {
            "float_features": [{"feature_index": 0, "flat_feature_index": 0}],
            "categorical_features": [
                {"feature_index": 0, "flat_feature_index": 1}, {"feature_index": 1, "flat_feature_index": 3},
            ],
            "ctrs": [statistic | parts],
        },
        "ctr_data": {"one": {"hash_stride": len(rows[0]), "hash_map": held, "counter_denominator": 8}},
    }  # fmt: skip


JOB = {"combination_element": "cat_feature_value", "cat_feature_index": 0}
TOWN = {"combination_element": "cat_feature_value", "cat_feature_index": 1}
ABOVE = {"combination_element": "float_feature", "float_feature_index": 0, "border": 2.5}
UNUSED = str(ALL)


@pytest.mark.parametrize(("kind", "rows", "shares"), [
    ("Borders", [[str(hashed(7)), 1, 3], [UNUSED, 9, 9]], [4 / 6, 1 / 2, 1 / 2]),
    ("Borders", [[str(hashed(7)), 1, 3, 2], [str(hashed(JOBS[1])), 4, 0, 0]], [6 / 8, 1 / 6, 1 / 2]),
    ("Buckets", [[str(hashed(7)), 1, 3], [UNUSED, 9, 9]], [2 / 6, 1 / 2, 1 / 2]),
    ("Counter", [[str(hashed(JOBS[1])), 5], [UNUSED, 9]], [1 / 2, 6 / 10, 1 / 2]),
    ("BinarizedTargetMeanValue", [[str(hashed(7)), 1.5, 4]], [2.5 / 6, 1 / 2, 1 / 2]),
])  # fmt: skip
def test_a_statistic_is_that_of_the_training_rows_of_a_level(kind: str, rows: list[Any], shares: list[float]) -> None:
    (table,) = tables_of(described(kind, [JOB], rows), CATEGORIES)
    assert (table.columns, table.questions) == ((1,), ())
    np.testing.assert_allclose(table.values[:, 0], (np.array(shares) + 0.5) * 10, rtol=1e-6)  # the last is unknown


def test_combinations_are_of_levels_and_of_answers_to_questions() -> None:
    rows = [[str(hashed(JOBS[1], 11, 1)), 0, 2], [str(hashed(7, 11, 0)), 2, 0]]
    (table,) = tables_of(described("Borders", [JOB, TOWN, ABOVE], rows), CATEGORIES)
    assert (table.columns, table.questions) == ((1, 3), (Question(0, 2.5),))
    found = table.values.reshape(3, 2, 2) / 10 - 0.5
    expected = np.full((3, 2, 2), 0.5)
    expected[1, 0, 1], expected[0, 0, 0] = 3 / 4, 1 / 4
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_combination_may_ask_for_one_level() -> None:
    exact = {"combination_element": "cat_feature_exact_value", "cat_feature_index": 0, "value": JOBS[1] - (1 << 32)}
    rows = [[str(hashed(11, 1)), 0, 2], [str(hashed(11, 0)), 2, 0]]
    (table,) = tables_of(described("Borders", [TOWN, exact], rows), CATEGORIES)
    found = table.values.reshape(2, 3) / 10 - 0.5  # towns, then jobs
    np.testing.assert_allclose(found, [[1 / 4, 3 / 4, 1 / 4], [1 / 2] * 3], rtol=1e-6)


def test_levels_that_are_asked_for_one_by_one_come_first() -> None:
    model = described("Counter", [JOB], [[str(hashed(7)), 5]])
    model["features_info"]["categorical_features"][1]["values"] = [11, 12]
    first, second = tables_of(model, CATEGORIES)
    assert (first.columns, second.columns) == ((3,), (1,))
    np.testing.assert_array_equal(first.values, [[1, 0], [0, 0]])


def test_too_many_combinations_are_refused_with_the_way_out() -> None:
    many = Categories({1: range(2000), 3: range(2000)})
    model = described("Counter", [JOB, TOWN], [[str(hashed(7)), 5]])
    with pytest.raises(
        AdoptionError, match="more than 1,048,576 combinations of categories apart; fit it with max_ctr"
    ):
        list(tables_of(model, many))
