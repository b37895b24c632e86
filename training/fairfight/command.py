"""`python -m training compare`: its arguments, and what it says."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from chainzrule.training.fairfight import plan, report
from chainzrule.training.fairfight.compare import compare
from chainzrule.training.fairfight.race import Results

EXAMPLES = """\
examples:
  python -m training compare --quick
  python -m training compare --problems waves,breast-cancer --methods chainzrule,relu,gelu
  python -m training compare --data DIRECTORY

DIRECTORY holds what no package carries, each where it is there: the folders mnist and fashion-mnist with their four
IDX files, pima.csv, UCI_Credit_Card.csv, the folders yelp5 and sst5 beside word vectors in vectors.txt. Problems whose
files are missing are left out and named. A finished run is kept by the hash of everything that shapes it: an
interrupted comparison goes on where it stopped.
"""

INTERRUPTED = 130

QUICK = ("waves", "breast-cancer")
"""The quick form's problems: minutes on two cores, no files needed."""


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="compare ChainzRule with other methods, at equal size, budget and tuning effort",
        description="Train ChainzRule networks and their rivals on the same rows, with the same budget and tuning,\n"
        "over sizes and seeds, and write tables, plots and every figure's configuration.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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


def run(options: argparse.Namespace) -> int:
    """Compare and report.

    Raises:
        DataError: an unknown problem or method, or files that a named problem needs.
    """
    results = Results(options.results / "results")
    try:
        left_out = () if options.report_only else _compare(options, results)
    except KeyboardInterrupt:
        print("\ninterrupted; finished runs are kept, and the same command goes on from them", file=sys.stderr)
        return INTERRUPTED
    for reason in left_out:
        print(f"left out: {reason}")
    for path in report.write(results.by_key.values(), options.results):
        print(f"wrote {path}")
    return 0


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
