"""`python -m tests.mutants`: give the program small faults and see whether its tests notice."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path, PurePath
from queue import Queue

from tqdm import tqdm

from tests.mirror import modules, nearest
from tests.mutants.equivalent import entry_for, read
from tests.mutants.mutations import Mutation, sample
from tests.mutants.report import REQUIRED, report, share, survivor
from tests.mutants.trial import BaselineFailed, Copy, Outcome
from tests.processes import ROOT

ROOMS = [f"service/{room}" for room in ("stability", "runtime", "serving", "artifact", "api")]
ROOMS += [f"training/{room}" for room in ("nn", "penalties", "bounds", "measure", "export", "adopt")]


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    found = argparse.ArgumentParser(prog="make test-mutants", description=__doc__)
    found.add_argument("paths", nargs="*", default=ROOMS, help="files or folders to give faults (default: the rooms)")
    found.add_argument("--count", type=int, default=150, help="how many faults to try (%(default)s)")
    found.add_argument("--seed", type=int, default=0, help="which faults are drawn (%(default)s)")
    found.add_argument("--workers", type=int, default=1, choices=(1, 2), help="copies of the tree in use at a time")
    return found


def sources_of(paths: Sequence[str], root: Path) -> dict[str, str]:
    """The text of every module at or below the paths."""
    wanted = [PurePath(path) for path in paths]
    chosen = [module for module in modules(root) if any(path in (module, *module.parents) for path in wanted)]
    return {str(module): (root / module).read_text() for module in chosen}


def run(mutations: Sequence[Mutation], workers: int, root: Path) -> Iterator[Outcome]:
    """Try faults, in their order, first making sure that their tests pass without them.

    Raises:
        BaselineFailed: they do not.
    """
    copies: Queue[Copy] = Queue()
    tests = {mutation.file: nearest(PurePath(mutation.file), root) for mutation in mutations}
    limits: dict[tuple[PurePath, ...], float] = {}

    def baseline(files: tuple[PurePath, ...]) -> None:
        copy = copies.get()
        try:
            limits[files] = 20 + 4 * copy.baseline(files)  # a busy machine is no fault
        finally:
            copies.put(copy)

    def attempt(mutation: Mutation) -> Outcome:
        copy = copies.get()
        try:
            return copy.attempt(mutation, tests[mutation.file], limits[tests[mutation.file]])
        finally:
            copies.put(copy)

    with ExitStack() as stack, ThreadPoolExecutor(workers) as pool:
        for _ in range(workers):
            copies.put(Copy(root, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-")))))
        needed = sorted(set(tests.values()))
        for _ in tqdm(pool.map(baseline, needed), "without faults", len(needed), disable=None):
            pass
        yield from tqdm(pool.map(attempt, mutations), "faults", len(mutations), disable=None)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """0 where enough faults are killed, 1 where not, 2 where the tests fail without any."""
    given = parser().parse_args(arguments)
    sources = sources_of(given.paths, root)
    if not sources:
        print(f"there is no module at {' '.join(given.paths)}", file=sys.stderr)
        return 2
    entries = read()
    drawn = sample(sources, given.count, given.seed)
    tried = [mutation for mutation in drawn if entry_for(mutation, sources[mutation.file], entries) is None]
    outcomes = []
    try:
        for outcome in run(tried, given.workers, root):
            outcomes.append(outcome)
            if not outcome.killed:
                tqdm.write(survivor(outcome, sources[outcome.mutation.file]))
                sys.stdout.flush()
    except BaselineFailed as error:
        print(f"the tests fail: {error}", file=sys.stderr)
        return 2
    print(report(outcomes, len(drawn) - len(tried)))
    return 0 if share(outcomes) >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())
