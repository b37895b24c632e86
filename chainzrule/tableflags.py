"""Defines the flags by which `chainzrule fit` is told how to read a table, and prints what stands in its way."""

import argparse
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from chainzrule.service.artifact.interface import Task
from chainzrule.spellingflags import add_spelling_flags, column_and_value, several
from chainzrule.training.data.errors import Problem
from chainzrule.training.errors import ConfigError


def add_table_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say which table is meant, and what its columns are."""
    table = parser.add_argument_group("a table instead of CONFIG")
    table.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="a table with a header: .csv, .parquet, .jsonl or .xlsx; or a folder of them, or a quoted pattern",
    )
    table.add_argument("--target", metavar="COLUMN", help="the column to predict")
    table.add_argument("--name", metavar="NAME", help="the model's name")
    table.add_argument("--task", choices=get_args(Task), help="guessed from the target when absent")
    table.add_argument(
        "--levels", nargs="+", default=[], metavar="LEVEL", help="an ordinal target's levels, lowest first"
    )
    several(table, "--categorical", "COLUMN", "read numbers as categories")
    several(table, "--numeric", "COLUMN", "read as numbers all the same")
    several(table, "--drop", "COLUMN", "leave a column out")
    table.add_argument("--drop-unusable", action="store_true", help="leave out all columns that cannot be used")
    table.add_argument("--drop-unlabelled", action="store_true", help="leave out rows without a target")
    table.add_argument(
        "--lenient",
        action="store_true",
        help="have the service take gaps and levels that the table has not, further columns, and numbers as texts",
    )
    rows = parser.add_argument_group("rows that are not all alike")
    rows.add_argument("--weights", metavar="COLUMN", help="how often each row counts")
    rows.add_argument("--balanced", action="store_true", help="have all labels count as if equally common")
    rows.add_argument("--groups", metavar="COLUMN", help="hold rows of equal values, such as a patient's, out together")
    rows.add_argument("--time", metavar="COLUMN", help="hold the latest fifth out, by this date or number")
    spelling = add_spelling_flags(parser)
    several(spelling, "--date", "COLUMN=FORMAT", "how a column's dates are written: iso, ymd, dmy or mdy")


def table_of(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the `data` section of a configuration for the flags.

    Raises:
        ConfigError: a flag that is needed is missing, or is written otherwise than it should be.
    """
    missing = [f"--{name}" for name in ("csv", "target", "name") if getattr(options, name) is None]
    if missing:
        raise ConfigError(f"give a CONFIG file, or --csv, --target and --name (missing: {', '.join(missing)})")
    data = {
        "source": "table",
        "path": options.csv,
        "target": options.target,
        "task": options.task,
        "levels": options.levels,
        "categorical": options.categorical,
        "numeric": options.numeric,
        "drop": options.drop,
        "drop_unlabelled": options.drop_unlabelled,
    }
    given = {
        "drop_unusable": options.drop_unusable,
        "lenient": options.lenient,
        "weights": options.weights,
        "balanced": options.balanced,
        "groups": options.groups,
        "time": options.time,
        "encoding": options.encoding,
        "decimal": options.decimal,
        "thousands": options.thousands,
        "dates": dict(_pair("--date", argument) for argument in options.date),
        "na": options.na,
        "not_na": options.not_na,
        "units": dict(_pair("--unit", argument) for argument in options.unit),
    }
    return data | {name: value for name, value in given.items() if value}


def shown(problems: Sequence[Problem]) -> Iterator[str]:
    """Yields a line for every problem, with the flags of which each removes it."""
    for problem in problems:
        yield problem.text + (f"   {'   or   '.join(problem.flags)}" if problem.flags else "")


def repaired(arguments: Sequence[str], problems: Sequence[Problem]) -> str:
    """Returns the command line with the first flag of each problem, to be pasted."""
    kept = [argument for argument in arguments if argument != "--check"]
    flags = dict.fromkeys(problem.flags[0] for problem in problems if problem.flags)
    return " ".join([shlex.join(["chainzrule", *kept]), *flags])


def _pair(flag: str, argument: str) -> tuple[str, str]:
    found = column_and_value(argument)
    if found is None:
        raise ConfigError(f"{flag} {argument}: give it as COLUMN=VALUE")
    return found
