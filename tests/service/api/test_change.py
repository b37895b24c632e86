"""How an answer is to change: what is taken, and what is refused where it stands."""

from typing import Any

import pytest

from chainzrule.service.api.change import read_change
from chainzrule.service.errors import InvalidInput
from chainzrule.service.serving.question import MOST_NAMES, Change

MARK = "s3cret"


def test_what_is_left_out_is_free() -> None:
    assert read_change(None) is None
    assert read_change({}) == Change()
    assert read_change({"label": None, "at_least": None}) == Change()


def test_all_members_are_taken() -> None:
    found = read_change(
        {"label": "no", "frozen": ["a", "b"], "monotone": {"c": "increase"}, "integer": ["d"], "sparse": True}
    )
    expected = Change("no", None, None, frozenset(["a", "b"]), {"c": "increase"}, frozenset(["d"]), sparse=True)
    assert found == expected
    assert read_change({"at_least": 3}) == Change(at_least=3.0)
    assert read_change({"at_most": -2.5}) == Change(at_most=-2.5)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        pytest.param([], "counterfactual", id="list"),
        pytest.param(True, "counterfactual", id="flag"),
        pytest.param(MARK, "counterfactual", id="text"),
        pytest.param({MARK: 1}, "counterfactual", id="unknown member"),
        pytest.param({"label": 1}, "counterfactual.label", id="label is a number"),
        pytest.param({"at_least": MARK}, "counterfactual.at_least", id="at_least is text"),
        pytest.param({"at_most": True}, "counterfactual.at_most", id="at_most is a flag"),
        pytest.param({"at_most": 1e39}, "counterfactual.at_most", id="at_most is no float32"),
        pytest.param({"at_most": 10**400}, "counterfactual.at_most", id="at_most is no float"),
        pytest.param({"at_least": 1, "at_most": 2}, "counterfactual.at_least", id="both sides"),
        pytest.param({"frozen": MARK}, "counterfactual.frozen", id="frozen is text"),
        pytest.param({"frozen": [1]}, "counterfactual.frozen", id="frozen holds a number"),
        pytest.param({"frozen": None}, "counterfactual.frozen", id="frozen is null"),
        pytest.param({"integer": [[]]}, "counterfactual.integer", id="integer holds a list"),
        pytest.param({"integer": ["x"] * (MOST_NAMES + 1)}, "counterfactual.integer", id="too many names"),
        pytest.param({"monotone": ["x"]}, "counterfactual.monotone", id="monotone is a list"),
        pytest.param({"monotone": {"x": "up"}}, "counterfactual.monotone", id="another direction"),
        pytest.param({"monotone": {"x": ["increase"]}}, "counterfactual.monotone", id="list of directions"),
        pytest.param({"sparse": 1}, "counterfactual.sparse", id="sparse is a number"),
    ],
)
def test_anything_else_is_refused(value: Any, place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_change(value)
    assert caught.value.place == place
    if value != {MARK: 1}:
        assert MARK not in str(caught.value)


def test_a_misspelt_member_is_named() -> None:
    with pytest.raises(InvalidInput, match="did you mean at_least"):
        read_change({"atleast": 1})
