"""`python -m benchmarks.abstention`: how many answers are wrong under noise when the most doubtful are withheld.

The largest probability decides which those are, or what the service says of a row.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.abstention import digits
from benchmarks.abstention.report import report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.abstention", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--noise-scale", type=float, default=2.0, help="multiple of the card's noise (default 2)")
    parser.add_argument("--draws", type=int, default=10, help="times that noise is drawn for each digit (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="of the noise and of the halves (default 1)")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/abstention/results"), help="the report's folder"
    )
    arguments = parser.parse_args()
    results = digits.measure(arguments.noise_scale, arguments.draws, arguments.seed)
    written = report(results)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "abstention.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.output / "abstention.md").write_text(written)
    print(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
