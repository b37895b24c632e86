"""`python -m benchmarks.reviews`: methods side by side on five-level reviews, from two fixed encodings.

Every method chooses from nine settings by its loss on balanced validation reviews, and is then fitted from five seeds
to the same training reviews. The encodings are computed once and kept, and so are the fits in the folder for the
results: an interrupted run goes on where it stopped. The reviews are not part of this repository.
"""

import argparse
import json
import platform
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
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
    Job,
    Sources,
    balanced,
    chosen,
    jobs,
    problem,
    run,
)
from benchmarks.reviews.report import report


def measure(encoding: str, sources: Sources, workers: int, known: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yields one encoding's results, complete so far, after every method; fits among `known` are not run again."""
    here = problem(encoding, sources)  # encoded before the processes start
    levels = here.test[1].numpy()
    part = {
        "encoding": encoding,
        "inputs": here.inputs,
        "rows": {
            "train": len(here.train[1]),
            "validation": len(here.validation[1]),
            "natural": len(levels),
            "balanced": len(balanced(levels)),
        },
        "shares": (np.bincount(levels) / len(levels)).tolist(),
        "results": list(known),
    }
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:

        def judged(wanted: Sequence[Job]) -> None:
            done = [{key: result[key] for key in asdict(wanted[0])} for result in part["results"]]
            missing = [job for job in wanted if asdict(job) not in done]
            found = pool.map(partial(run, sources=sources), missing)
            part["results"] += tqdm(found, desc=f"{encoding}, {wanted[0].method}", total=len(missing))

        for method in METHODS:
            judged(jobs(encoding, method))
            judged(chosen(encoding, method, part["results"]))
            yield part


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
    recipe = {"hidden": list(HIDDEN), "epochs": EPOCHS, "batch": BATCH, "seeds": list(SEEDS)}
    versions = {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]}
    found: dict[str, Any] = {"recipe": recipe, "versions": versions, "encodings": {}}
    if path.is_file() and (earlier := json.loads(path.read_text(encoding="utf-8")))["recipe"] == recipe:
        found["encodings"] = earlier["encodings"]
    for encoding in ENCODINGS:
        known = found["encodings"].get(encoding, {}).get("results", [])
        for part in measure(encoding, sources, arguments.workers, known):
            found["encodings"][encoding] = part
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = report(found)
    (arguments.output / "reviews.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
