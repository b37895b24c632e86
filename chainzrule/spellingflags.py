"""Defines the flags that say how a table is written, alike for `chainzrule fit` and `chainzrule predict`."""

import argparse
from typing import Any

from chainzrule.service.runtime.spelling import THOUSANDS, Spelling
from chainzrule.tables.table import TableError


def add_spelling_flags(parser: argparse.ArgumentParser) -> Any:
    """Adds the flags, and returns their group."""
    group = parser.add_argument_group("how the table is written")
    group.add_argument("--encoding", metavar="NAME", help="of a text file: latin-1, utf-16, ... (UTF-8)")
    group.add_argument("--decimal", default=None, metavar="MARK", help="before the decimals (.)")
    group.add_argument("--thousands", choices=THOUSANDS, help="between thousands")
    several(group, "--na", "MARK", "one more mark of a gap, such as ? or n.a.")
    several(group, "--not-na", "MARK", "a usual mark of a gap that is none here, such as NA for Namibia")
    several(group, "--unit", "COLUMN=UNIT", "the unit that a column's numbers are written with, such as kg, $ or %%")
    return group


def spelling_of(options: argparse.Namespace) -> Spelling:
    """Returns what the flags say.

    Raises:
        TableError: a flag is written otherwise than it should be, or the decimals and the thousands have one mark.
    """
    units = {}
    for argument in options.unit:
        found = column_and_value(argument)
        if found is None:
            raise TableError(f"--unit {argument}: give it as COLUMN=VALUE")
        units[found[0]] = found[1]
    decimal = options.decimal or "."
    if decimal not in (".", ","):
        raise TableError(f"--decimal {decimal}: must be . or ,")
    if decimal == options.thousands:
        raise TableError(f"--thousands {options.thousands}: stands before the decimals too; say both")
    return Spelling(options.encoding, decimal, options.thousands, tuple(options.na), tuple(options.not_na), units)


def column_and_value(argument: str) -> tuple[str, str] | None:
    """Returns the parts of COLUMN=VALUE; None where it is written otherwise."""
    column, mark, value = argument.rpartition("=")
    return (column, value) if mark and column and value else None


def several(group: Any, flag: str, metavar: str, text: str) -> None:
    """Adds a flag that may be given more than once."""
    group.add_argument(flag, action="append", default=[], metavar=metavar, help=text)
