"""Reserves the place in the model repository that a run will publish to."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from chainzrule.training.errors import RepositoryError


@contextlib.contextmanager
def reserved(root: Path, name: str) -> Iterator[None]:
    """Makes `root/name` and tries to write there, before the work is done; removes it again if it stays empty.

    Args:
        root: the repository; made if it does not exist.
        name: the model's name.

    Raises:
        RepositoryError: nothing can be written there.
    """
    home, made = root / name, False
    try:
        try:
            root.mkdir(parents=True, exist_ok=True)
            made = not home.exists()
            home.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=home):
                pass
        except OSError as error:
            raise RepositoryError(
                f"{home}: no model can be written there ({error.strerror}); make it a writable directory or choose "
                "another with --models"
            ) from None
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):  # a folder that holds a published version cannot be removed
                home.rmdir()
