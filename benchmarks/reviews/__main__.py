"""`python -m benchmarks.reviews`: methods side by side on five-level reviews, from two fixed encodings.

Every method chooses from nine settings by its loss on balanced validation reviews, and is then fitted from five seeds
to the same training reviews. The encodings are computed once and kept; the reviews are not part of this repository.
"""

import argparse
import json
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.reviews.contest import (
    BATCH,
    ENCODINGS,
    EPOCHS,
    HIDDEN,
    METHODS,
    SEEDS,
    Sources,
    balanced,
    chosen,
    jobs,
    problem,
    run,
)
from benchmarks.reviews.report import report


def measure(encoding: str, sources: Sources, workers: int) -> dict[str, Any]:
    """Every method on one encoding."""
    here = problem(encoding, sources)  # encoded before the processes start
    started, results = time.time(), []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        judge = partial(run, sources=sources)
        tuning = [job for method in METHODS for job in jobs(encoding, method)]
        results += tqdm(pool.map(judge, tuning), desc=f"{encoding}, settings", total=len(tuning))
        testing = [job for method in METHODS for job in chosen(encoding, method, results)]
        results += tqdm(pool.map(judge, testing), desc=f"{encoding}, seeds", total=len(testing))
    levels = here.test[1].numpy()
    return {
        "encoding": encoding,
        "inputs": here.inputs,
        "rows": {
            "train": len(here.train[1]),
            "validation": len(here.validation[1]),
            "natural": len(levels),
            "balanced": len(balanced(levels)),
        },
        "shares": (np.bincount(levels) / len(levels)).tolist(),
        "minutes": (time.time() - started) / 60,
        "results": results,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reviews", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--reviews", type=Path, required=True, help="folder of train.csv, dev.csv and test.csv")
    parser.add_argument("--vectors", type=Path, required=True, help="word vectors in GloVe's text format")
    parser.add_argument("--encoder", type=Path, required=True, help="folder of a sentence encoder")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread (default %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/reviews/results"), help="folder for the results"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sources = Sources(arguments.reviews, arguments.vectors, arguments.encoder)
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "reviews.json"
    found: dict[str, Any] = {
        "recipe": {"hidden": HIDDEN, "epochs": EPOCHS, "batch": BATCH, "seeds": SEEDS},
        "versions": {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]},
        "encodings": [],
    }
    for encoding in ENCODINGS:
        found["encodings"].append(measure(encoding, sources, arguments.workers))
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = report(found)
    (arguments.output / "reviews.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
