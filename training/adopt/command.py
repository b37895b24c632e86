"""`python -m training adopt`: its arguments, and what it prints."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from chainzrule.service.errors import ServiceError
from chainzrule.training.adopt.adopt import AdoptionReport, adopt
from chainzrule.training.data.errors import DataError
from chainzrule.training.errors import AdoptionError, TrainingError

USAGE = 2

METHODS = {
    "analytic": "exact derivatives: every prediction carries its stability",
    "finite_difference": "central differences: stability on request, and for a share of the traffic",
    "monte_carlo": "noise draws: stability on request, and for a share of the traffic",
}


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code, 2 for a model or data that cannot be used."""
    options = parser().parse_args(arguments)
    try:
        report = adopt(
            options.model,
            data=options.data,
            target=options.target,
            name=options.name,
            models=options.models,
            expected=options.expected,
            task=options.task,
            labels=options.labels,
            noise={column: _number(column, value) for column, value in _pairs("--noise", options.noise)},
            units=dict(_pairs("--unit", options.unit)),
            seed=options.seed,
        )
    except (TrainingError, DataError, ServiceError) as error:
        print(f"error: {'; '.join(str(error).splitlines())}", file=sys.stderr)
        return USAGE
    print("\n".join(summary(report, options.models)))
    return 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command's arguments."""
    command = argparse.ArgumentParser(
        prog="python -m training adopt",
        description="Publish an ONNX model that was trained elsewhere, with a card measured on a sample of rows.",
    )
    command.add_argument("model", type=Path, metavar="FILE.onnx", help="one float input, labels or probabilities out")
    command.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="a table: the model's columns in order, and the target"
    )
    command.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    command.add_argument("--name", required=True, metavar="NAME", help="the model's name")
    command.add_argument(
        "--models", type=Path, default=Path("models"), metavar="DIR", help="model repository (%(default)s)"
    )
    command.add_argument(
        "--expected",
        type=Path,
        metavar="FILE",
        help="the source library's predictions of the rows, to be compared with",
    )
    command.add_argument("--task", choices=("classification", "regression"), help="guessed from the target when absent")
    command.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="in the order of the model's columns, where it names none",
    )
    command.add_argument(
        "--noise", action="append", default=[], metavar="COLUMN=VALUE", help="a column's measurement noise"
    )
    command.add_argument("--unit", action="append", default=[], metavar="COLUMN=UNIT", help="a column's unit")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of draws and choices (%(default)s)")
    return command


def summary(report: AdoptionReport, models: Path) -> Iterator[str]:
    """Yields the lines that say what an adoption came to."""
    card = report.card
    yield f"{card.name} version {card.version}: {card.task}, method {card.method} ({METHODS[card.method]})"
    yield from (f"  note: {note}" for note in report.notes)
    for name, value in card.quality.items():
        yield f"    {name:<24} {value:>10.4g}   on the sample"
    assert card.adoption is not None
    if card.adoption.expected_difference is not None:
        yield f"  the source library's predictions are met within {card.adoption.expected_difference:.1g}"
    yield f"  published to {report.path}; serve it with:\n    python -m service --models {models}"


def _pairs(option: str, arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields each COLUMN=VALUE as its two parts."""
    for argument in arguments:
        column, mark, value = argument.rpartition("=")
        if not mark:
            raise AdoptionError(f"{option} {argument}: give it as COLUMN=VALUE")
        yield column, value


def _number(column: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise AdoptionError(f"--noise {column}: must be a number in the column's unit") from None
