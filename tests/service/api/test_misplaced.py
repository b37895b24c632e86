"""Rows as other servers take them: where they belong here."""

import pytest

from chainzrule.service.api.misplaced import flat_row, is_flat, no_list, unknown_members
from chainzrule.service.api.requests import PREDICT_MEMBERS


@pytest.mark.parametrize("name", ["data", "inputs", "dataframe_split", "X"])
def test_rows_by_another_name_are_recognised(name: str) -> None:
    error = unknown_members({"model": "toy", name: [[1.0]]}, PREDICT_MEMBERS)
    assert (error.place, error.detail) == ("body", f"""has '{name}'; this route takes the rows as "instances": [...]""")


def test_members_beside_the_rows_are_named_with_what_is_taken() -> None:
    error = unknown_members({"instances": [], "confidance": 1, "b": 2}, PREDICT_MEMBERS)
    assert error.detail.startswith("has 'confidance', 'b', which this route does not know (did you mean confidence?)")
    assert error.detail.endswith("it takes " + ", ".join(PREDICT_MEMBERS))
    error = unknown_members({"instances": [], "model": "toy", "mode": 1}, PREDICT_MEMBERS)
    assert "did you mean model" not in error.detail  # that one is there


def test_a_row_for_a_body_is_to_be_wrapped() -> None:
    error = unknown_members({"age": 31, "bmi": 20}, PREDICT_MEMBERS)
    assert error.detail.startswith("""has no instances, but 'age', 'bmi'; a row, or a list of rows, is wrapped as""")


def test_only_what_begins_like_a_row_is_flat() -> None:
    assert is_flat([1.0, 2.0])
    assert not is_flat([[1.0]])
    assert not is_flat([{"a": 1}])
    assert not is_flat(["a"])
    assert flat_row().place == "instances"


def test_one_object_is_no_list_of_rows() -> None:
    assert no_list({"a": 1}).detail.endswith('one row by itself is wrapped in a list too: "instances": [...]')
    assert no_list([]).detail == no_list(None).detail == "must be a list of at least one row"
