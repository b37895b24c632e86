"""Reads the MNIST family's IDX format: a header of dimensions, then one unsigned byte per element, plain or gzipped."""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.data.errors import DataError

UNSIGNED_BYTE = 8
MOST_BYTES = 1 << 30  # the most elements of one file; a header can declare far more than any memory holds
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path, dimensions: int, sha256: str | None = None) -> NDArray[np.uint8]:
    """Reads one IDX file of unsigned bytes.

    Args:
        path: plain or gzipped; the content tells which, not the name.
        dimensions: of the array: 1 for labels, 3 for images (count, height, width).
        sha256: of the decompressed content, checked if given.

    Raises:
        DataError: not such a file, cut short, longer than its header says, damaged, or not the expected content.
    """
    try:
        with path.open("rb") as probe:
            zipped = probe.read(2) == GZIP_MAGIC
        with gzip.open(path, "rb") if zipped else path.open("rb") as stream:
            header = stream.read(4 + 4 * dimensions)
            shape = _parse_header(header, dimensions, path)
            size = math.prod(shape)
            body = stream.read(size + 1)  # no more than the header declares, in case of a decompression bomb
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch the file again") from error
    if len(body) != size:
        state = "longer than its header says" if len(body) > size else f"cut short: {len(body)} of {size} bytes"
        raise DataError(f"{path}: {state}; fetch the file again")
    if sha256 is not None and hashlib.sha256(header + body).hexdigest() != sha256:
        raise DataError(f"{path}: not the expected content (sha256 differs); fetch it again, or load it unverified")
    return np.frombuffer(body, np.uint8).reshape(shape)


def find_idx(directory: Path, name: str) -> Path:
    """Returns the file of that name (as in `train-images-idx3-ubyte`) in any of its usual spellings.

    Raises `DataError` where there is none.
    """
    dotted = name.replace("-idx", ".idx")
    for spelling in (name, f"{name}.gz", dotted, f"{dotted}.gz"):
        if (directory / spelling).is_file():
            return directory / spelling
    raise DataError(f"{directory}: holds no {name} (nor {name}.gz, {dotted}, {dotted}.gz)")


def _parse_header(header: bytes, dimensions: int, path: Path) -> tuple[int, ...]:
    magic = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if header[:4] != magic:
        raise DataError(f"{path}: not an IDX file of {dimensions}-dimensional bytes (starts with {header[:4].hex()})")
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path}: cut short inside its header; fetch the file again")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    if not 0 < math.prod(shape) <= MOST_BYTES:
        raise DataError(f"{path}: its header declares {shape} elements; between 1 and {MOST_BYTES} can be read")
    return shape
