"""`python -m benchmarks.coverage`: split rows at random, make regions by one half, and see what they hold in the other.

The rows are scored once, by models that were not fitted to them: out of fold for the tables, by the shipped model for
the digits. Every contender gets the same scores and the same halves. Coverage is the share of the other half whose
region holds the truth; the size is the mean number of labels, or the mean length of an interval in the target's unit.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.coverage.boxes import in_boxes
from benchmarks.coverage.contenders import contend
from benchmarks.coverage.report import table
from benchmarks.coverage.subjects import SUBJECTS

CONFIDENCES = (0.8, 0.9, 0.95)
RADIUS = 1.0  # of the boxes, in noise sigmas of every feature at once


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, help="these subjects only")
    parser.add_argument("--splits", type=int, default=200, help="random halves (default %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/coverage/results"), help="folder for JSON and table"
    )
    arguments = parser.parse_args()
    results = []
    for name in arguments.only or SUBJECTS:
        subject = SUBJECTS[name]()
        with tqdm(total=arguments.splits, desc=name, unit="split") as bar:
            found = contend(subject, arguments.splits, np.array(CONFIDENCES), lambda bar=bar: bar.update())
        ways = [
            {
                "way": way,
                "coverage": shares.mean(axis=0).tolist(),
                "coverage_error": (shares.std(axis=0, ddof=1) / np.sqrt(len(shares))).tolist(),
                "size": sizes.mean(axis=0).tolist(),
                "size_error": (sizes.std(axis=0, ddof=1) / np.sqrt(len(sizes))).tolist(),
                "size_over_ours": (sizes.mean(axis=0) / found["ChainzRule"][1].mean(axis=0)).tolist(),
            }
            for way, (shares, sizes) in found.items()
        ]
        facts = {"subject": subject.name, "rows": len(subject.y), "task": subject.link.task, "ways": ways}
        results.append(facts | {"boxes": in_boxes(subject, RADIUS, np.array(CONFIDENCES)) if subject.folds else []})
    content = {"splits": arguments.splits, "confidences": CONFIDENCES, "radius": RADIUS, "subjects": results}
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "coverage.json").write_text(json.dumps(content, indent=1) + "\n")
    (arguments.output / "coverage.md").write_text(table(content) + "\n")
    print(table(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
