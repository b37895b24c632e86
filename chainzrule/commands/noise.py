"""Implements `chainzrule noise`, which measures columns' noise from repeated measurements."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from chainzrule.exits import Exit
from chainzrule.spellingflags import add_spelling_flags, spelling_of
from chainzrule.tables.table import TableError
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.tablefile import read_table
from chainzrule.training.errors import ConfigError, TrainingError
from chainzrule.training.noise.file import noise_text
from chainzrule.training.noise.repeats import Repeats, config_of, measure

REFUSALS = (TrainingError, DataError, TableError)

EXAMPLES = """\
examples:
  chainzrule noise repeats.csv --group sample_id
  chainzrule noise repeats.csv --group patient --group visit --output noise.toml
  chainzrule fit --csv patients.csv --target outcome --name triage --noise-file noise.toml

FILE has one row for each measurement, under the names that the columns have in training, and a column that says which
sample was measured. From what differs within samples follow each column's standard deviation and which columns'
errors move together. A sample that was measured once says nothing. Thirty samples measured three times each leave sixty
degrees of freedom, and so standard deviations that are right to about 9%.
"""


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds the arguments, and returns the function that measures noise."""
    parser.description = "Measure the columns' noise from repeated measurements, and write it as `fit` takes it."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", type=Path, metavar="FILE", help="a table of any kind that `fit` reads")
    parser.add_argument(
        "--group",
        action="append",
        required=True,
        metavar="COLUMN",
        help="the column that says which sample a row is of; may be repeated where it takes several",
    )
    add_spelling_flags(parser)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the noise file there; it is never overwritten"
    )
    return run


def run(options: argparse.Namespace) -> int:
    """Measures noise, prints what was found, and returns the exit code."""
    found = measure(read_table(options.file, spelling_of(options)), options.group)
    summary = list(_summary(found))
    text = noise_text(config_of(found), remarks=summary)
    if options.output is None:
        print(text, end="")
        return Exit.FINE
    try:
        with options.output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{options.output} exists already; give --output another name") from None
    print("\n".join(summary))
    print(f"wrote {options.output}; train with it:\n  chainzrule fit ... --noise-file {options.output}")
    return Exit.FINE


def _summary(found: Repeats) -> Iterator[str]:
    least, most = min(found.freedom), max(found.freedom)
    freedom = f"{least}" if least == most else f"{least} to {most}"
    error = (2 * least) ** -0.5
    yield f"measured with {freedom} degrees of freedom: standard deviations are right to about {error:.0%}"
    for group in found.groups:
        yield f"errors move together: {', '.join(group)}"
    for note in found.notes:
        yield f"note: {note}"
    for name, reason in found.unjudged.items():
        yield f"not judged: '{name}' {reason}"
