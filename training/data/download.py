"""Downloads files from public mirrors, and checks each before it appears in its folder, so that none is partial."""

import http.client
import os
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from chainzrule.training.data.errors import DataError

CHUNK = 1 << 16
TIMEOUT_SECONDS = 30.0


def cache_folder(name: str) -> Path:
    """Returns the user's cache folder for `name`: `$XDG_CACHE_HOME/chainzrule/<name>`, by default under `~/.cache`."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says that relative paths are ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "chainzrule" / name


def download(name: str, mirrors: Sequence[str], folder: Path, check: Callable[[Path], object], most_bytes: int) -> Path:
    """Fetches `name` from the first mirror that gives a valid file, and moves it into `folder` in one step.

    Args:
        name: appended to each mirror's URL; also the name in the folder.
        mirrors: URLs that end in a slash, tried in order.
        folder: made where it is missing.
        check: raises `DataError` for a file that must not be kept.
        most_bytes: a longer answer is refused.

    Raises:
        DataError: no mirror gave a sound file; says what each one did.
    """
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
            part = Path(temporary) / name
            for mirror in mirrors:
                try:
                    _save(mirror + name, part, most_bytes)
                    check(part)
                except (OSError, http.client.HTTPException, DataError) as error:
                    failures.append(f"{mirror + name}: {error}")
                else:
                    return part.replace(folder / name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error}); set XDG_CACHE_HOME to a folder that can") from error
    raise DataError(f"{name} could not be downloaded: {'; '.join(failures) or 'no mirror is given'}")


def _save(url: str, path: Path, most_bytes: int) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, path.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        received = 0
        with tqdm(desc=path.name, total=total or None, unit="B", unit_scale=True, disable=None, leave=False) as bar:
            while block := answer.read(CHUNK):
                received += len(block)
                if received > most_bytes:
                    raise DataError(f"longer than the {most_bytes} bytes it may have")
                file.write(block)
                bar.update(len(block))
    if received < total:
        raise DataError(f"cut short: {received} of {total} bytes")
