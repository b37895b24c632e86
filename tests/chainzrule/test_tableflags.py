"""Flags that say how a table is read, and problems as they are printed."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from chainzrule.tableflags import add_table_flags, repaired, shown, table_of
from chainzrule.training.data.errors import Problem
from chainzrule.training.errors import ConfigError

NEEDED = ["--csv", "a.csv", "--target", "y", "--name", "m"]


def parsed(*arguments: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_table_flags(parser)
    return table_of(parser.parse_args([*NEEDED, *arguments]))


def test_what_is_not_said_is_left_out() -> None:
    found = parsed()
    assert (found["source"], found["path"], found["target"]) == ("table", Path("a.csv"), "y")
    assert not {"lenient", "encoding", "decimal", "na", "units", "dates", "groups"} & set(found)


def test_flags_become_settings() -> None:
    found = parsed(
        *("--decimal", ",", "--thousands", "space", "--na", "?", "--na=-", "--not-na", "NA", "--unit", "a=b=kg"),
        *("--date", "seen=dmy", "--encoding", "latin-1", "--lenient", "--drop-unusable", "--drop", "id"),
        *("--weights", "w", "--groups", "g", "--time", "t", "--balanced"),
    )
    assert found["units"] == {"a=b": "kg"}
    assert found["dates"] == {"seen": "dmy"}
    assert (found["na"], found["not_na"]) == (["?", "-"], ["NA"])
    assert (found["decimal"], found["thousands"], found["encoding"]) == (",", "space", "latin-1")
    assert (found["weights"], found["groups"], found["time"], found["balanced"]) == ("w", "g", "t", True)
    assert (found["lenient"], found["drop_unusable"], found["drop"]) == (True, True, ["id"])


@pytest.mark.parametrize("argument", ["weight", "=kg", "weight="])
def test_a_pair_needs_both_halves(argument: str) -> None:
    with pytest.raises(ConfigError, match="give it as COLUMN=VALUE"):
        parsed("--unit", argument)


def test_what_is_needed_is_asked_for() -> None:
    parser = argparse.ArgumentParser()
    add_table_flags(parser)
    with pytest.raises(ConfigError, match="missing: --target, --name"):
        table_of(parser.parse_args(["--csv", "a.csv"]))


PROBLEMS = [Problem("a is odd", ("--drop a", "--numeric a")), Problem("b is odd"), Problem("c", ("--drop 'c d'",))]


def test_problems_are_shown_one_a_line_with_their_flags() -> None:
    assert list(shown(PROBLEMS)) == ["a is odd   --drop a   or   --numeric a", "b is odd", "c   --drop 'c d'"]


def test_the_repaired_command_can_be_pasted() -> None:
    arguments = ["fit", "--csv", "my file.csv", "--check"]
    found = repaired(arguments, [*PROBLEMS, Problem("d", ("--drop a",))])
    assert found == "chainzrule fit --csv 'my file.csv' --drop a --drop 'c d'"
