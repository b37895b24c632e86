"""Implements `chainzrule predict`, which predicts a CSV or Parquet file with a published model and no server."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from chainzrule.bulk import Tally, added_columns, predict_table
from chainzrule.exits import Exit
from chainzrule.loaded import LoadedModel, load
from chainzrule.progress import Progress
from chainzrule.service.errors import ServiceError
from chainzrule.service.serving.question import MAX_NOISE_SCALE
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE
from chainzrule.spellingflags import add_spelling_flags, spelling_of
from chainzrule.tables.files import beside, kind_of, replacing, table_at
from chainzrule.tables.table import TableError

REFUSALS = (ServiceError, TableError)

EXAMPLES = """\
examples:
  chainzrule predict patients.csv --model patients
  chainzrule predict patients.csv --model patients --version 2 --output scored.csv --skip-bad-rows
  chainzrule predict readings.parquet --model pump --noise-scale 2
  chainzrule predict besuche.csv --model patients --decimal , --encoding latin-1 --na ?

The model's columns are found by name, in any order. All of FILE's columns are passed through, those that the model
does not know too, and behind them come the answer's: label or value (both for ordered levels), probabilities.LABEL,
set (or interval.low and interval.high), verdict, reasons, method, volatility, percentile, flip_distance,
flip_probability, runner_up, gradient_norm and out_of_range, as POST /predict answers them. CSV has several labels,
reasons or features in one cell, with semicolons between, and an empty cell where the answer is null. Empty cells and
NA, NaN, null and the like are gaps, which the model fills where its training saw some. --decimal, --thousands, --unit,
--na, --not-na and --encoding say how the table is written, as they do for fit; what is written is in UTF-8, with
points before decimals.

A row that cannot be predicted (text for a number, an unknown level, a gap that the model cannot fill) is named by its
line. Unless --skip-bad-rows leaves such rows out, nothing is written then.

Parquet needs pyarrow: pip install 'chainzrule[parquet]'. A .gz file is read as CSV and written unzipped.
"""


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds the arguments, and returns the function that predicts."""
    parser.description = "Put a published model's predictions, and how stable each is, beside the rows of a table."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", type=Path, metavar="FILE", help="a .csv (or .csv.gz) or .parquet file with a header")
    parser.add_argument("--model", metavar="NAME", help="the model; may be left out where the repository has only one")
    parser.add_argument("--version", metavar="V", help="the model's version; the newest unless given")
    parser.add_argument(
        "--models", type=Path, default=Path("models"), metavar="DIR", help="model repository (%(default)s)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="of the same kind; else FILE's neighbour NAME.predictions.csv"
    )
    parser.add_argument(
        "--noise-scale", type=float, default=1.0, metavar="S", help="multiple of the card's noise to measure at (1)"
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=DEFAULT_CONFIDENCE,
        metavar="C",
        help="with which each set or interval is to hold the truth (%(default)s)",
    )
    parser.add_argument("--prefix", default="", metavar="TEXT", help="put before the added columns' names")
    parser.add_argument("--skip-bad-rows", action="store_true", help="leave out rows that cannot be predicted")
    add_spelling_flags(parser)
    return run


def run(options: argparse.Namespace) -> int:
    """Predicts a file, writes the result, prints a summary, and returns the exit code."""
    if not 0 < options.noise_scale <= MAX_NOISE_SCALE:
        raise TableError(f"--noise-scale: must be above 0, at most {MAX_NOISE_SCALE:g}")
    if not 0 < options.confidence < 1:
        raise TableError("--confidence: must be between 0 and 1, for example 0.9")
    spelling = spelling_of(options)
    table = table_at(options.file, spelling.encoding)
    output = options.output or beside(options.file, "predictions")
    _check_output(output, options.file)
    model = load(options.models, options.model, options.version)
    try:
        with table, replacing(output) as new:
            added = added_columns(model, table, options.prefix)
            with Progress() as progress, table.writer(new, added) as writer:
                tally = predict_table(
                    model,
                    table,
                    writer,
                    options.noise_scale,
                    options.confidence,
                    options.skip_bad_rows,
                    spelling,
                    progress.show,
                )
            if tally.bad and not options.skip_bad_rows:
                raise _BadRowsError
            if not tally.rows:
                raise TableError(f"{options.file}: there is no row that could be predicted")
    except _BadRowsError:
        what = f"{options.file}: {_rows(tally.bad)} cannot be predicted, so nothing was written"
        print(f"error: {what}; --skip-bad-rows leaves such out", file=sys.stderr)
        print("\n".join(_named(tally, table.unit)), file=sys.stderr)
        return Exit.USAGE
    print("\n".join(_summary(tally, table.unit, model, output)))
    return Exit.FINE


class _BadRowsError(Exception):
    """Discards the file that was begun, because the table has rows that cannot be predicted."""


def _check_output(output: Path, file: Path) -> None:
    """Refuses an output that would be of another kind, or would replace a file that must stay."""
    if kind_of(output) != kind_of(file) or output.suffix.lower() == ".gz":
        raise TableError(f"--output: {output} must be of FILE's kind by its name, and unzipped")
    if not output.parent.is_dir():
        raise TableError(f"--output: {output.parent} is no directory")
    if output.exists() and (not output.is_file() or output.samefile(file)):
        raise TableError(f"--output: {output} is FILE itself, or no regular file")


def _summary(tally: Tally, unit: str, model: LoadedModel, output: Path) -> Iterator[str]:
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in tally.verdicts.most_common())
    yield f"{_rows(tally.rows)} by {model.card.name} version {model.card.version}: {verdicts}"
    if tally.bad:
        yield f"left out {_rows(tally.bad)} that cannot be predicted:"
        yield from _named(tally, unit)
    yield f"wrote {output}"


def _named(tally: Tally, unit: str) -> Iterator[str]:
    yield from (f"  {unit} {line}: {reason}" for line, reason in tally.reasons.items())
    if tally.bad > len(tally.reasons):
        yield f"  and {tally.bad - len(tally.reasons):,} more"


def _rows(count: int) -> str:
    return f"{count:,} row" + "s" * (count != 1)
