"""A fingerprint changes whenever a file is written, replaced or given other rights."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chainzrule.service.fingerprint import fingerprint


def rewrite(file: Path) -> None:
    """Writes as many bytes, and sets the time of the last write back, as `cp --preserve` does."""
    before = file.stat()
    file.write_bytes(b"other")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(file: Path) -> None:
    beside = file.with_name("beside")
    beside.write_bytes(b"other")
    beside.replace(file)


@pytest.mark.parametrize("change", [rewrite, replace, lambda file: file.chmod(0o600)])
def test_every_change_is_told(tmp_path: Path, change: Callable[[Path], None]) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"bytes")
    os.utime(file, ns=(0, 0))
    before = fingerprint(file.stat())
    file.read_bytes()
    assert fingerprint(file.stat()) == before
    time.sleep(0.05)  # the clock of a file system may be coarser than two calls
    change(file)
    assert fingerprint(file.stat()) != before
