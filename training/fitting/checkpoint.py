"""Keeps a fit's state on disk, so that an interrupted run goes on where it stopped."""

import os
import pickle
import time
from pathlib import Path
from typing import Any

import torch

from chainzrule.training.errors import CheckpointError, StorageError


class Checkpoint:
    """Keeps one file, replaced in one step, so that a crash leaves the last complete state."""

    def __init__(self, path: Path, identity: str, resume: bool, interval: float = 5.0) -> None:
        """Opens a checkpoint.

        Args:
            path: the file.
            identity: names the run; a state is only ever given back to the run that saved it.
            resume: False forgets a state that an earlier run left.
            interval: seconds between saves that are not forced.
        """
        self._path = path
        self._identity = identity
        self._interval = interval
        self._saved = time.monotonic()
        if not resume:
            path.unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """Returns the saved state, or None where there is none.

        Raises:
            CheckpointError: the file is damaged, or belongs to another run.
        """
        if not self._path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self._path, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, ValueError):
            raise CheckpointError(f"{self._path} is damaged; start again without --resume") from None
        if state.pop("identity", None) != self._identity:
            raise CheckpointError(
                f"{self._path} belongs to a run with another configuration or other data; start again without --resume"
            )
        return state

    def save(self, state: dict[str, Any], force: bool = False) -> None:
        """Saves a state; does nothing within `interval` of the last save, unless forced.

        Raises:
            StorageError: there is no room for it, or it cannot be written; the last complete state is kept.
        """
        if not force and time.monotonic() - self._saved < self._interval:
            return
        partial = self._path.with_suffix(".partial")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save({**state, "identity": self._identity}, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as either
            partial.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or "it may be full"
            raise StorageError(
                f"{partial}: cannot be written ({reason}); make room there, or name another folder with --runs"
            ) from None
        self._saved = time.monotonic()
