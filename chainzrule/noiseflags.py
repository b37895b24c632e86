"""Reads the measurement noise of columns from a command line."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainzrule.training.errors import ConfigError
from chainzrule.training.noise.file import read_noise


def add_noise_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say how large the columns' noise is, and how it is distributed."""
    parser.add_argument(
        "--noise",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="a column's measurement noise, in its unit or as a share of each value, such as 5%%",
    )
    parser.add_argument(
        "--noise-file", type=Path, metavar="FILE", help="the noise of columns, as `chainzrule noise` writes it"
    )


def noise_sections(options: argparse.Namespace, noise: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the configuration's sections `noise` and `noise_law`; single flags come before the file.

    Args:
        options: the command line.
        noise: the section `noise` of the configuration so far, which both come before.

    Raises:
        ConfigError: a flag or the file cannot be read.
    """
    given = {} if options.noise_file is None else read_noise(options.noise_file)
    sections: dict[str, Any] = {"noise": {**noise, **given.get("noise", {}), **dict(map(_noise, options.noise))}}
    if "noise_law" in given:
        sections["noise_law"] = given["noise_law"]
    return sections


def _noise(argument: str) -> tuple[str, float | str]:
    column, _, value = argument.rpartition("=")
    try:
        if value.rstrip().endswith("%"):
            return column, f"{float(value.rstrip().rstrip('%')):g}%"
        return column, float(value)
    except ValueError:
        raise ConfigError(
            f"--noise {argument}: give it as COLUMN=VALUE with a number in the column's unit, or a share such as 5%"
        ) from None
