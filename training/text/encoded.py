"""Encodes texts once, chunk by chunk, into files that later runs reopen, so that memory does not grow with the rows."""

import hashlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from chainzrule.training.data.download import cache_folder
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.fingerprint import fingerprint_file
from chainzrule.training.text.encoding import Encode, Encoding
from chainzrule.training.text.reviews import Read, Review

CHUNK = 1024  # texts that are encoded at a time


@dataclass(frozen=True)
class TextFile:
    """Names a file of labelled texts, and how it is read."""

    path: Path
    read: Read

    def __iter__(self) -> Iterator[Review]:
        return self.read(self.path)


@dataclass(frozen=True)
class EncodedTexts:
    """Holds a file's texts as numbers.

    Attributes:
        x: (texts, D), mapped from disk: what is not looked at takes no memory.
        levels: (texts,) from 0.
    """

    x: NDArray[np.float32]
    levels: NDArray[np.int64]


def encoded(files: Sequence[TextFile], encoding: Encoding, progress: bool = False) -> list[EncodedTexts]:
    """Returns the files' texts as numbers, which are read from the cache or written into it (`cache_folder("texts")`).

    Every file is read through and checked before the first text is encoded.

    Raises:
        DataError: a file cannot be read, is damaged, or holds no text.
    """
    cache = cache_folder("texts")
    folders = [cache / _key(file, encoding) for file in files]
    missing = {folder: file for folder, file in zip(folders, files, strict=True) if not folder.is_dir()}
    if missing:
        counts = [_count(file) for file in missing.values()]
        encode = encoding.prepare(review.text for file in missing.values() for review in file)
        for (folder, file), rows in zip(missing.items(), counts, strict=True):
            _write(folder, file, rows, len(encoding.names), encode, progress)
    return [_open(folder) for folder in folders]


def _key(file: TextFile, encoding: Encoding) -> str:
    content = f"{fingerprint_file(file.path)} {file.read.__name__} {encoding.fingerprint}"
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _count(file: TextFile) -> int:
    rows = sum(1 for _ in file)
    if rows == 0:
        raise DataError(f"{file.path}: holds no text")
    return rows


def _write(folder: Path, file: TextFile, rows: int, width: int, encode: Encode, progress: bool) -> None:
    """Writes both arrays into a folder that appears only when it is complete."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".encoding-") as temporary:
            part = Path(temporary) / "whole"
            part.mkdir()
            x = np.lib.format.open_memmap(part / "x.npy", mode="w+", dtype=np.float32, shape=(rows, width))
            levels = np.empty(rows, np.int64)
            reviews, done = iter(file), 0
            with tqdm(total=rows, desc=file.path.name, unit="text", disable=None if progress else True) as bar:
                while chunk := list(itertools.islice(reviews, CHUNK)):
                    here = slice(done, done + len(chunk))
                    x[here] = encode([review.text for review in chunk])
                    levels[here] = [review.level for review in chunk]
                    done += len(chunk)
                    bar.update(len(chunk))
            x.flush()
            np.save(part / "levels.npy", levels)
            if not folder.is_dir():  # otherwise another process has written it meanwhile
                part.replace(folder)
    except OSError as error:
        raise DataError(f"{folder.parent}: cannot be written ({error.strerror}); set XDG_CACHE_HOME to a folder "
                        "that can") from error  # fmt: skip


def _open(folder: Path) -> EncodedTexts:
    try:
        # Copy on write, because torch wants writable arrays and the file must not change.
        return EncodedTexts(np.load(folder / "x.npy", mmap_mode="c"), np.load(folder / "levels.npy"))
    except (OSError, ValueError):
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"{folder}: was damaged and has been removed; run the same command again") from None
