"""`python -m benchmarks.certify`: certified over attacked radius, and the time of a bound.

Networks of the reference shapes are fitted by the shipped recipes, ChainzRule and ReLU of one size (kept in a folder
for the next run); the digits need a folder with MNIST's IDX files. auto_LiRPA does not take part: what PyPI has of it
(0.3) needs torch below 1.13, and bounds no powers above 2.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.certify.attack import BISECTIONS, STEPS, attacked_radius
from benchmarks.certify.rivals import Certify, intervals, relu_crown
from benchmarks.certify.subjects import Subject, subjects
from chainzrule.service.runtime.bounds import Boxes, bound
from chainzrule.service.runtime.graph import Execution, Graph
from chainzrule.training.bounds.graph import bounds_graph
from chainzrule.training.export.onnx import OPSET
from chainzrule.training.nn.folded import fold

TIMED = 20


def ours(subject: Subject) -> Certify:
    """Returns the certificate by the bounds graph, on one thread, with all rounding included."""
    graph = Graph(bounds_graph(fold(subject.model), "classification", OPSET), "bounds.onnx", Execution("cpu", 1))

    def certify(low: NDArray[np.float64], high: NDArray[np.float64], label: int) -> NDArray[np.float64]:
        return bound(graph, Boxes(low[None], high[None], np.array([label]))).margin_lower[0]

    return certify


def certified_radius(
    certify: Certify, row: NDArray[np.float64], std: NDArray[np.float64], label: int, most: float
) -> float:
    """Returns the largest certified radius in standard deviations, below `most`, where an attack has succeeded."""
    low, high = 0.0, most
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        margins = np.delete(certify(row - middle * std, row + middle * std, label), label)
        low, high = (middle, high) if (margins > 0).all() else (low, middle)
    return low


def measure(subject: Subject) -> list[dict[str, Any]]:
    model, rows, std = subject.model, subject.rows, subject.model.columns.std
    labels = model.scores(torch.from_numpy(rows)).numpy().argmax(axis=1)
    attacked = attacked_radius(model, rows)
    methods = {"intervals": intervals(model)}
    methods |= {"bounds graph": ours(subject)} if subject.kind == "chainzrule" else {"CROWN": relu_crown(model)}
    found = []
    for name, certify in methods.items():
        radii = np.array(
            [certified_radius(certify, *of) for of in zip(rows, [std] * len(rows), labels, attacked, strict=True)]
        )
        seconds = []
        for row, radius, label in list(zip(rows, radii, labels, strict=True))[:TIMED]:
            begin = time.perf_counter()
            certify(row - radius * std, row + radius * std, label)
            seconds.append(time.perf_counter() - begin)
        ratio = radii / attacked
        found.append(
            {
                "network": subject.name,
                "kind": subject.kind,
                "method": name,
                "rows": len(rows),
                "attacked_radius_median": float(np.median(attacked)),
                "certified_radius_median": float(np.median(radii)),
                "ratio_median": float(np.median(ratio)),
                "ratio_p10": float(np.quantile(ratio, 0.1)),
                "milliseconds_fastest": 1e3 * min(seconds),
                "milliseconds_median": 1e3 * float(np.median(seconds)),
            }
        )
        print(found[-1], file=sys.stderr)
    return found


def report(results: dict[str, Any]) -> str:
    """Returns the figures as Markdown."""
    lines = [
        "# Certificates, measured",
        "",
        f"`make bench-certify`: {STEPS}-step attack, its smallest success by {BISECTIONS} bisections, which is also",
        "how the certified radius is found; radii of the L-infinity box in standard deviations of every feature;",
        f"held-out rows; one thread; the shipped recipes, {results['epochs']} epochs for the digits. Times are",
        f"of one bound, fastest and median of up to {TIMED}; the bounds graph counts all rounding, the others none.",
        results["note"],
        "",
        "| network | kind | method | rows | attacked radius | certified radius | ratio, median | p10 "
        "| ms, fastest | ms, median |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['network']} | {r['kind']} | {r['method']} | {r['rows']} | {r['attacked_radius_median']:.3f} | "
        f"{r['certified_radius_median']:.3f} | {r['ratio_median']:.2f} | {r['ratio_p10']:.2f} | "
        f"{r['milliseconds_fastest']:.2f} | {r['milliseconds_median']:.2f} |"
        for r in results["subjects"]
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.certify", description=__doc__)
    parser.add_argument("--mnist", type=Path, metavar="DIR", help="folder with MNIST's four IDX files")
    parser.add_argument("--rows", type=int, default=100, help="held-out rows a network (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=12, help="for the digits (default %(default)s)")
    parser.add_argument("--kept", type=Path, default=Path(".certify"), help="folder for fitted networks")
    parser.add_argument("--note", default="", help="a sentence for the report, as on the load of the machine")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/certify"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {
        "rows": arguments.rows,
        "epochs": arguments.epochs,
        "note": arguments.note,
        "versions": {"python": platform.python_version(), "torch": torch.__version__.partition("+")[0]},
        "subjects": [],
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    for subject in subjects(arguments.rows, arguments.epochs, arguments.mnist, arguments.kept):
        results["subjects"] += measure(subject)
        (arguments.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        (arguments.output / "report.md").write_text(report(results))
    print(report(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
