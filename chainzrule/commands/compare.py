"""Implements `chainzrule compare`, which runs the fair fight and writes its figures and plots."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from chainzrule.exits import Exit
from chainzrule.service.errors import ServiceError
from chainzrule.training.data.errors import DataError
from chainzrule.training.errors import TrainingError
from chainzrule.training.fairfight import plan, report
from chainzrule.training.fairfight.compare import compare
from chainzrule.training.fairfight.race import Results

EXAMPLES = """\
examples:
  chainzrule compare --quick
  chainzrule compare --problems waves,breast-cancer --methods chainzrule,relu,gelu
  chainzrule compare --data DIRECTORY

DIRECTORY holds what no package carries, each where it is there: the folders mnist and fashion-mnist with their four
IDX files, pima.csv, UCI_Credit_Card.csv, the folders yelp5 and sst5 beside word vectors in vectors.txt. Problems whose
files are missing are left out and named. A finished run is kept by the hash of everything that shapes it: an
interrupted comparison goes on where it stopped.
"""

REFUSALS = (TrainingError, DataError, ServiceError)

QUICK = ("waves", "breast-cancer")
"""Lists the problems of the quick comparison, which take minutes on two cores and need no files."""


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds the arguments, and returns the function that compares and reports."""
    parser.description = (
        "Train ChainzRule networks and their rivals on the same rows, with the same budget and tuning,\n"
        "over sizes and seeds, and write tables, plots and every figure's configuration."
    )
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="few problems, methods, sizes and seeds: minutes")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder of the problems that no package carries")
    parser.add_argument("--problems", metavar="A,B", help=f"from: {', '.join(plan.BUDGETS)}")
    parser.add_argument("--methods", metavar="A,B", help=f"from: {', '.join(report.TITLES)}")
    parser.add_argument(
        "--results", type=Path, default=Path("runs/fairfight"), metavar="DIR", help="runs and report (%(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes of one thread (%(default)s)"
    )
    parser.add_argument("--report-only", action="store_true", help="write the report of the runs that are there")
    return run


def run(options: argparse.Namespace) -> int:
    """Runs the comparison, writes the report, and returns the exit code.

    Raises:
        DataError: a problem or method is unknown, or files that a named problem needs are missing.
    """
    # One thread a process gives the same figures whatever the machine's number of cores.
    torch.set_num_threads(1)
    results = Results(options.results / "results")
    try:
        left_out = () if options.report_only else _compare(options, results)
    except KeyboardInterrupt:
        print("\ninterrupted; finished runs are kept, and the same command goes on from them", file=sys.stderr)
        return Exit.INTERRUPTED
    for reason in left_out:
        print(f"left out: {reason}")
    for path in report.write(results.by_key.values(), options.results):
        print(f"wrote {path}")
    return Exit.FINE


def _compare(options: argparse.Namespace, results: Results) -> tuple[str, ...]:
    return compare(
        _names(options.problems) or (QUICK if options.quick else tuple(plan.BUDGETS)),
        _names(options.methods),
        results,
        options.data,
        workers=options.workers,
        strict=options.problems is not None,
        quick=options.quick,
    )


def _names(listed: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (listed or "").split(",") if name.strip())
