"""Numbers as people spell them, recognised so that the flags can be named."""

import pandas as pd
import pytest

from chainzrule.service.runtime.spelling import Spelling
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.spelling import flags_for, respelled


@pytest.mark.parametrize(
    ("texts", "flags"),
    [
        (["1,5", "2,25", "3"], "--decimal ,"),
        (["1,234.50", "7"], "--thousands ,"),
        (["1.234,50", "7"], "--decimal , --thousands ."),
        (["1\u00a0234", "7"], "--thousands space"),
        (["$1,200", "$3"], "--unit 'the price=$' --thousands ,"),
        (["12%", "5 %"], "--unit 'the price=%'"),
        (["12.3 kg", "5 kg", "7"], "--unit 'the price=kg'"),
        (["1", "?", "2.5"], "--na='?'"),
        (["1", "-", "n.a.", "2"], "--na=- --na=n.a."),
        (["<500", "700", "710.5"], "--na='<500'"),
        (["1", "2", "not measured"], "--na='not measured'"),
        (["12 kg", "? ", "7 kg"], "--unit 'the price=kg' --na='?'"),
    ],
)
def test_the_flags_that_make_numbers_of_texts_are_found(texts: list[str], flags: str) -> None:
    assert flags_for("the price", texts) == (flags,)


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "b", "c", "d", "e"],
        ["1", "2"],
        ["<5", "<7", ">9", "<500", "700"],
        ["level 1", "level 2"],
        ["1 kilometres", "2 kilometres"],
        ["5 kg", "3 lb"],
        ["1,5", "1.5"],
        ["1,234,5", "2"],
        ["a", "b", "c", "d", "1", "2"],
        ["?", "-"],
        [],
    ],
)
def test_where_no_flags_help_none_are_named(texts: list[str]) -> None:
    assert flags_for("price", texts) == ()


def test_a_table_is_respelled_column_by_column() -> None:
    frame = pd.DataFrame({"a": ["1,5", None, "2"], "b": ["x", "1,5", "2"], "c": [1, 2, 3], "w": ["3 kg", "4 kg", None]})
    found = respelled(frame, Spelling(decimal=",", units={"w": "kg", "c": "m"}))
    assert found["a"].tolist()[::2] == [1.5, 2.0]
    assert found["a"].isna().tolist() == [False, True, False]
    assert found["b"].tolist() == ["x", "1,5", "2"]
    assert found["c"].tolist() == [1, 2, 3]
    assert found["w"].tolist()[:2] == [3.0, 4.0]
    assert respelled(frame, Spelling()) is frame
    other = pd.DataFrame({"point": ["1.5", "2.25"], "zip": ["01234", "99999"], "flag": ["True", "False"]})
    found = respelled(other, Spelling(decimal=","))
    assert found["point"].tolist() == [1.5, 2.25]  # not every column is spelled like the others
    assert found["zip"].tolist() == ["01234", "99999"]
    assert found["flag"].tolist() == [True, False]
    with pytest.raises(DataError, match="column 'b' is in kg, and holds 'x', which is no number") as caught:
        respelled(frame, Spelling(units={"b": "kg"}))
    assert caught.value.problems[0].flags == ("--na=x",)
