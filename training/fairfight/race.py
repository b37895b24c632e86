"""Runs trials in parallel processes, and stores each result at once, so that an interruption costs little."""

import json
import multiprocessing
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import torch
from tqdm import tqdm

from chainzrule.training.fairfight.trial import Trial, cost, run


class Results:
    """Stores results by trial, in one JSON lines file per problem; unreadable lines are left out and replaced."""

    def __init__(self, folder: Path) -> None:
        """Reads what the folder holds."""
        self._folder = folder
        self._found: dict[str, dict[str, Any]] = {}
        for path in sorted(folder.glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:  # an interrupted run may leave an incomplete last line
                    continue
                self._found[entry["key"]] = entry

    @property
    def by_key(self) -> Mapping[str, Mapping[str, Any]]:
        """Returns every result with its trial, by the trial's key."""
        return self._found

    def add(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """Stores a result on disk at once."""
        entry = {"key": trial.key, "trial": asdict(trial), **result}
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{trial.problem}.jsonl").open("ab+") as stream:
            if stream.tell() and not _ends_a_line(stream):  # an interrupted run left an incomplete line
                stream.write(b"\n")
            stream.write(json.dumps(entry).encode() + b"\n")
        self._found[trial.key] = entry


def race(trials: Iterable[Trial], results: Results, data: Path | None, workers: int, bar: "tqdm[Any]") -> None:
    """Runs the trials that have no result yet."""
    wanted = list(dict.fromkeys(trials))
    missing = [trial for trial in wanted if trial.key not in results.by_key]
    bar.update(sum(cost(trial) for trial in wanted if trial.key in results.by_key))
    if not missing:
        return
    # Processes are spawned: a fork would inherit this one's threads, which torch does not survive.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_alone) as pool:
        running = {pool.submit(run, trial, data): trial for trial in missing}
        try:
            for future in as_completed(running):
                trial = running[future]
                results.add(trial, future.result())
                bar.update(cost(trial))
        except BaseException:  # after an error or an interruption, trials that have not begun are not waited for
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _ends_a_line(stream: BinaryIO) -> bool:
    stream.seek(-1, os.SEEK_END)
    return stream.read(1) == b"\n"


def _alone() -> None:
    """Limits the process to one thread, because more would only wait for each other."""
    os.nice(5)
    torch.set_num_threads(1)
