"""`python -m benchmarks.calibration`: run rows again and again with drawn noise, and hold what is stated to it.

The shipped models are tried as they are served. With --fit, a ChainzRule and a ReLU network of the same size are fitted
by the same configuration besides, which takes minutes; for the digits that needs a folder with MNIST's IDX files.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.calibration import laws
from benchmarks.calibration.report import plot, table
from benchmarks.calibration.subjects import Subject, fitted, shipped
from chainzrule.training.config import read_config
from chainzrule.training.measure.calibration import calibration
from chainzrule.training.measure.simulation import DRAWS, MAX_ROWS
from chainzrule.training.publish.load import load

CONFIGS = Path("training/configs")
MODELS = ("breast-cancer", "diabetes", "digits")


def subjects(arguments: argparse.Namespace) -> Iterator[Subject]:
    for model in arguments.only or MODELS:
        yield from shipped(model, arguments.rows, arguments.draws, arguments.seed)
        config = read_config(CONFIGS / f"{model}.toml")
        if not arguments.fit:
            continue
        if config.data.source == "mnist":
            if arguments.mnist is None:
                print(f"{model}: not fitted; give a folder with MNIST's IDX files as --mnist", file=sys.stderr)
                continue
            config = config.model_copy(update={"data": config.data.model_copy(update={"path": arguments.mnist})})
        dataset, _ = load(config.data, config.seed)
        yield from fitted(config, dataset, arguments.rows, arguments.draws, arguments.seed)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--fit", action="store_true", help="also fit networks to compare")
    parser.add_argument("--mnist", type=Path, metavar="DIR", help="folder with MNIST's four IDX files, for --fit")
    parser.add_argument("--only", nargs="+", choices=MODELS, help="these models only")
    parser.add_argument("--rows", type=int, default=MAX_ROWS, help="rows a model, at most (default %(default)s)")
    parser.add_argument("--draws", type=int, default=DRAWS, help="draws of the noise a row (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of rows and draws (default %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/calibration/results"), help="folder for JSON, table and plot"
    )
    arguments = parser.parse_args()
    found = []
    for subject in subjects(arguments):
        truth = calibration(subject.link, [subject.simulation], arguments.seed, arguments.draws)
        found.append({"model": subject.model, "network": subject.network, "calibration": truth.model_dump()})
        print(f"{subject.model}: {subject.network}", file=sys.stderr)
    results = {"rows": arguments.rows, "draws": arguments.draws, "seed": arguments.seed, "subjects": found}
    results["laws"] = laws.measure(arguments.seed)
    report = f"{table(results)}\n\n{laws.table(results['laws'])}\n"
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "calibration.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.output / "calibration.md").write_text(report)
    plot(results, arguments.output / "calibration.png")
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
