"""One fault tried: in a copy of the tree, the tests near it run until one fails."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from tests.mutants.mutations import Mutation

SEED = 0  # what Hypothesis draws is the same in every run
COMMAND = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider"]
MARKS = ["-m", "not slow and not clients and not deploy and not ui", f"--hypothesis-seed={SEED}"]


class BaselineFailed(Exception):
    """The tests fail without any fault."""


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: nobody noticed it, unless it was killed; `late` says that the time limit did so."""

    mutation: Mutation
    tests: tuple[PurePath, ...]
    killed: bool
    seconds: float
    late: bool = False


class Copy:
    """A copy of the working tree, without what git ignores, in which faults are made and taken back."""

    def __init__(self, tree: Path, folder: Path) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=tree,
            check=True,
            capture_output=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            source, target = tree / name, folder / name
            if source.is_symlink() or source.exists():  # a file that is deleted but still in the index is neither
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        self.folder = folder

    @contextlib.contextmanager
    def mutated(self, mutation: Mutation) -> Iterator[None]:
        """The copy has the fault inside the block, and only there."""
        path = self.folder / mutation.file
        source = path.read_text()
        path.write_text(mutation.apply(source))
        try:
            yield
        finally:
            path.write_text(source)

    def baseline(self, tests: tuple[PurePath, ...]) -> float:
        """Seconds that tests take without any fault.

        Raises:
            BaselineFailed: they fail, or there is none.
        """
        begin = time.monotonic()
        passed, said = self._run(tests, None)
        if not passed:
            raise BaselineFailed(f"{', '.join(map(str, tests))} without any fault:\n{said}")
        return time.monotonic() - begin

    def attempt(self, mutation: Mutation, tests: tuple[PurePath, ...], limit: float) -> Outcome:
        """Try a fault; tests that take more than `limit` seconds have noticed it."""
        begin = time.monotonic()
        with self.mutated(mutation):
            passed, _ = self._run(tests, limit)
        seconds = time.monotonic() - begin
        return Outcome(mutation, tests, not passed, seconds, not passed and seconds >= limit)

    def _run(self, tests: tuple[PurePath, ...], limit: float | None) -> tuple[bool, str]:
        # Compiled files are told apart by second and size, and two faults of one file may share both.
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "ORT_DISABLE_TELEMETRY": "1"}
        with subprocess.Popen(
            [*COMMAND, *MARKS, *map(str, tests)],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                said, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                return False, f"took more than {limit:.0f} s"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # also the servers that a test has started
        return process.returncode == 0, said
