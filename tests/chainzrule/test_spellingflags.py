"""Flags that say how a table is written."""

import argparse

import pytest

from chainzrule.service.runtime.spelling import Spelling
from chainzrule.spellingflags import add_spelling_flags, spelling_of
from chainzrule.tables.table import TableError


def parsed(*arguments: str) -> Spelling:
    parser = argparse.ArgumentParser()
    add_spelling_flags(parser)
    return spelling_of(parser.parse_args(arguments))


def test_what_is_not_said_is_as_in_programs() -> None:
    assert parsed() == Spelling()


def test_all_can_be_said() -> None:
    found = parsed(
        *("--encoding", "latin-1", "--decimal", ",", "--thousands", ".", "--na", "?", "--na=-", "--not-na", "NA"),
        *("--unit", "a=b=kg"),
    )
    assert found == Spelling("latin-1", ",", ".", ("?", "-"), ("NA",), {"a=b": "kg"})


@pytest.mark.parametrize(("arguments", "said"), [
    (["--unit", "kg"], "--unit kg: give it as COLUMN=VALUE"),
    (["--decimal", "x"], "--decimal x: must be . or ,"),
    (["--thousands", "."], "--thousands .: stands before the decimals too; say both"),
])  # fmt: skip
def test_what_cannot_be_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(TableError) as caught:
        parsed(*arguments)
    assert str(caught.value) == said
