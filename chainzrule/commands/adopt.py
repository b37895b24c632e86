"""Implements `chainzrule adopt`, which publishes a model that was trained elsewhere."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from chainzrule.exits import Exit
from chainzrule.service.errors import ServiceError
from chainzrule.signer import signer
from chainzrule.training.adopt.adopt import AdoptionReport, adopt
from chainzrule.training.adopt.meaning import Answers
from chainzrule.training.adopt.original import TOLERANCE
from chainzrule.training.data.errors import DataError
from chainzrule.training.errors import AdoptionError, TrainingError

REFUSALS = (TrainingError, DataError, ServiceError)

EXAMPLES = """\
examples:
  chainzrule adopt wine.onnx --data sample.csv --target kind --name wine
  chainzrule adopt wine.onnx --data sample.csv --target kind --name wine --expected predictions.csv --noise alcohol=0.1

The sample holds the model's columns and the target: in the order in which the model was trained on them where it has
one input, by their names where it has several. Give rows
that the model was not fitted to: quality and stability are measured on them. Every column's noise is one standard
deviation of its measurement error; undeclared, it is a tenth of the column's standard deviation. docs/adopt.md walks
through scikit-learn, LightGBM, XGBoost and PyTorch.
"""

METHODS = {
    "analytic": "exact derivatives: every prediction carries its stability",
    "finite_difference": "central differences: stability on request, and for a share of the traffic",
    "monte_carlo": "noise draws: stability on request, and for a share of the traffic",
}


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds the arguments, and returns the function that adopts and publishes."""
    parser.description = "Publish a model that was trained elsewhere, with a card measured on a sample of rows."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "model",
        type=Path,
        metavar="FILE",
        help="an ONNX file; a model of XGBoost, LightGBM, CatBoost or skops; a pickle; an MLflow folder",
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="a table: the model's columns in order, and the target"
    )
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    parser.add_argument("--name", required=True, metavar="NAME", help="the model's name")
    parser.add_argument(
        "--models", type=Path, default=Path("models"), metavar="DIR", help="model repository (%(default)s)"
    )
    parser.add_argument(
        "--expected",
        type=Path,
        metavar="FILE",
        help="the source library's predictions of the rows, to be compared with",
    )
    parser.add_argument("--output", metavar="NAME", help="the output to be served, where several could be")
    parser.add_argument(
        "--which", type=int, metavar="N", help="the target to be served, from 1, where the model answers several"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="T",
        help="the largest difference from these that is accepted, of a probability or relative to the largest value "
        "(%(default)g)",
    )
    parser.add_argument(
        "--answers",
        choices=get_args(Answers),
        help="what the model's numbers are; found in the graph, or from the sample where that does not say",
    )
    parser.add_argument("--task", choices=("classification", "regression"), help="guessed from the target when absent")
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="in the order of the model's columns, where it names none",
    )
    parser.add_argument(
        "--noise", action="append", default=[], metavar="COLUMN=VALUE", help="a column's measurement noise"
    )
    parser.add_argument("--unit", action="append", default=[], metavar="COLUMN=UNIT", help="a column's unit")
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="load a pickle, which runs whatever code it holds: only where you trust whoever made it",
    )
    parser.add_argument("--sign", type=Path, metavar="KEY", help="sign what is published with this private key")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of draws and choices (%(default)s)")
    return run


def run(options: argparse.Namespace) -> int:
    """Adopts a model, prints a summary, and returns the exit code."""
    report = adopt(
        options.model,
        data=options.data,
        target=options.target,
        name=options.name,
        models=options.models,
        output=options.output,
        which=options.which,
        expected=options.expected,
        tolerance=options.tolerance,
        answers=options.answers,
        task=options.task,
        labels=options.labels,
        noise={column: _number(column, value) for column, value in _pairs("--noise", options.noise)},
        units=dict(_pairs("--unit", options.unit)),
        seed=options.seed,
        trust_pickle=options.trust_pickle,
        sign=options.sign and signer(options.sign),
    )
    print("\n".join(summary(report, options.models)))
    return Exit.FINE


def summary(report: AdoptionReport, models: Path) -> Iterator[str]:
    """Yields the lines of an adoption's summary."""
    card = report.card
    yield f"{card.name} version {card.version}: {card.task}, method {card.method} ({METHODS[card.method]})"
    yield from (f"  note: {note}" for note in report.notes)
    for name, value in card.quality.items():
        yield f"    {name:<24} {value:>10.4g}   on the sample"
    assert card.adoption is not None
    if card.adoption.expected_difference is not None:
        off = card.adoption.expected_rows_off
        rows = f"; {off} of {card.reference.rows} rows are off by more than {TOLERANCE:g}" if off else ""
        yield f"  the source library's predictions are met within {card.adoption.expected_difference:.1g}{rows}"
    yield f"  published to {report.path}; serve it with:\n    chainzrule serve --models {models}"


def _pairs(option: str, arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields the column and the value of each argument COLUMN=VALUE."""
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
