"""`python -m benchmarks.counterfactuals`: the smallest changes by `POST /sensitivity`, and by DiCE.

The service is asked in this process, one row a request, and again about every changed row by `POST /predict`. DiCE runs
in its own environment (`--dice PYTHON`), with the same model graph, the same table and its own methods. Of the answers
that it gives to a row, the nearest valid one counts. Without `--dice`, only the service is asked.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from tqdm import tqdm

from benchmarks.counterfactuals.report import table
from benchmarks.counterfactuals.subjects import ROOT, SUBJECTS, Row, Subject
from chainzrule.service.app import create_app
from chainzrule.service.artifact.features import CategoricalFeature, NumericFeature
from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.settings import Settings

METHODS = ("genetic", "random", "kdtree")
ANSWERS = 4  # of DiCE, for each row
Found = dict[str, Any]  # the changed row, the milliseconds, and what was certified


class Judge:
    """Measures changed rows by the model's card, and has the service confirm them."""

    def __init__(self, client: httpx.AsyncClient, subject: Subject) -> None:
        card = read_artifact(ROOT / "models" / subject.model / "1").card
        self._client = client
        self._subject = subject
        self.features = list(card.inputs())

    def distance(self, row: Row, changed: Row) -> float:
        """Returns how many noise sigmas the feature moves that moves furthest."""
        return max(
            abs(new - old) / feature.noise
            for old, new, feature in zip(row, changed, self.features, strict=True)
            if isinstance(feature, NumericFeature) and feature.noise > 0
        )

    def count(self, row: Row, changed: Row) -> int:
        """Returns the number of features that differ as float32."""
        moved = [
            old != new if isinstance(old, str) else np.float32(old) != np.float32(new)
            for old, new in zip(row, changed, strict=True)
        ]
        return int(np.sum(moved))

    async def is_valid(self, row: Row, changed: Row) -> bool:
        """Returns whether the service answers a changed row as was asked, each row asked alone."""
        before, after = [await self._predict(one) for one in (row, changed)]
        if self._subject.range is not None:
            return bool(after["value"] >= self._subject.range[0])
        return bool(before["label"] != after["label"])

    async def _predict(self, row: Row) -> dict[str, Any]:
        response = await self._client.post("/predict", json={"model": self._subject.model, "instances": [row]})
        prediction: dict[str, Any] = response.raise_for_status().json()["predictions"][0]
        return prediction


async def ours(client: httpx.AsyncClient, judge: Judge, subject: Subject, sparse: bool) -> list[Found]:
    """Returns what the service finds for every row."""
    names, found = [feature.name for feature in judge.features], []
    question = {"model": subject.model, "top": 1, "counterfactual": {**subject.change, "sparse": sparse}}
    await client.post("/sensitivity", json={**question, "instances": subject.rows[:1]})  # opens the bounds graph
    for row in tqdm(subject.rows, desc=f"{subject.model}, ours", unit="row"):
        begin = time.process_time()
        response = await client.post("/sensitivity", json={**question, "instances": [row]})
        milliseconds = 1e3 * (time.process_time() - begin)
        answer = response.raise_for_status().json()["predictions"][0]["counterfactual"]
        changed = list(row)
        for entry in answer["changes"]:
            changed[names.index(entry["feature"])] = entry["to"]
        rows = [] if answer["distance"] is None else [changed]
        found.append({"rows": rows, "milliseconds": milliseconds, "certified": answer["certified"]})
    return found


def dice(python: Path, judge: Judge, subject: Subject, method: str) -> list[Found]:
    """Returns what DiCE finds for every row."""
    levels = {
        str(at): list(feature.levels)
        for at, feature in enumerate(judge.features)
        if isinstance(feature, CategoricalFeature)
    }
    task = {
        "graph": str(ROOT / "models" / subject.model / "1" / "model.onnx"),
        "names": [feature.name for feature in judge.features],
        "levels": levels,
        "classifies": subject.range is None,
        "range": subject.range,
        "table": subject.table,
        "rows": subject.rows,
        "method": method,
        "count": ANSWERS,
    }
    with tempfile.TemporaryDirectory() as folder:
        given, answered = Path(folder, "task.json"), Path(folder, "answer.json")
        given.write_text(json.dumps(task))
        script = Path(__file__).with_name("dice.py")
        subprocess.run([python, script, given, answered], check=True, stderr=subprocess.DEVNULL)
        answers = json.loads(answered.read_text())
    return [{"rows": one["rows"], "milliseconds": 1e3 * one["seconds"], "certified": None} for one in answers]


async def judged(judge: Judge, subject: Subject, found: list[Found]) -> list[dict[str, Any]]:
    """Returns of each row its distance, validity and so on, by its nearest valid answer."""
    results = []
    for row, one in zip(subject.rows, found, strict=True):
        valid = [changed for changed in one["rows"] if await judge.is_valid(row, changed)]
        best = min(valid, key=lambda changed: judge.distance(row, changed), default=None)
        results.append(
            {
                "answers": len(one["rows"]),
                "valid": len(valid),
                "distance": None if best is None else judge.distance(row, best),
                "features": None if best is None else judge.count(row, best),
                "certified": one["certified"],
                "milliseconds": one["milliseconds"],
            }
        )
    return results


def summary(rows: list[dict[str, Any]], best: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what the report says of one way; `best` are our rows, for the ratio of distances."""
    moved = [row for row in rows if row["distance"]]
    brackets = [row["distance"] / row["certified"] for row in moved if row["certified"]]
    ratios = [
        row["distance"] / own["distance"]
        for row, own in zip(rows, best, strict=True)
        if row["distance"] and own["distance"]
    ]
    return {
        "found": sum(row["answers"] > 0 for row in rows) / len(rows),
        "valid": sum(row["valid"] for row in rows) / max(1, sum(row["answers"] for row in rows)),
        "distance": statistics.median(row["distance"] for row in moved),
        "over_ours": None if rows is best else statistics.median(ratios),
        "bracket": [float(np.quantile(brackets, q)) for q in (0.5, 0.9)] if brackets else None,
        "features": statistics.median(row["features"] for row in moved),
        "milliseconds": statistics.median(row["milliseconds"] for row in rows),
    }


async def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    app = create_app(Settings(models=ROOT / "models", reload_seconds=0, threads=1))
    results = []
    async with app.router.lifespan_context(app):
        await app.context.catalog.started.wait()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://localhost", timeout=60
        ) as client:
            for name in arguments.only or SUBJECTS:
                subject = SUBJECTS[name](arguments.rows)
                judge = Judge(client, subject)
                ways = {
                    way: await judged(judge, subject, await ours(client, judge, subject, sparse))
                    for way, sparse in (("ChainzRule", False), ("ChainzRule, sparse", True))
                }
                for method in METHODS if arguments.dice and subject.table else ():
                    found = await asyncio.to_thread(dice, arguments.dice, judge, subject, method)
                    ways[f"DiCE, {method}"] = await judged(judge, subject, found)
                best = ways["ChainzRule"]
                summaries = {way: summary(rows, best) for way, rows in ways.items()}
                results.append({"model": name, "rows": len(subject.rows), "ways": summaries})
    return results


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.counterfactuals", description=__doc__.partition("\n\n")[2]
    )
    parser.add_argument("--dice", type=Path, help="Python of an environment with DiCE")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, help="these models only")
    parser.add_argument("--rows", type=int, default=20, help="rows of each model (default %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/counterfactuals/results"), help="folder for the results"
    )
    arguments = parser.parse_args()
    results = asyncio.run(run(arguments))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "counterfactuals.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.output / "counterfactuals.md").write_text(table(results) + "\n")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
