"""Makes rows that a model knows nothing about: pictures that are no digits as it knows them, and mistaken tables."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainzrule.training.data.idx import find_idx, read_idx

Matrix = NDArray[np.float32]
SIDE = 28
SHIFT = 4
SHAPES = (SIDE, SIDE)


def pictures(x: Matrix, fashion: Path | None, random: np.random.Generator) -> dict[str, Matrix]:
    """Returns what becomes of digits, (rows, 784) of 0 to 255, by kind; Fashion-MNIST is read from its folder."""
    images = x.reshape(-1, *SHAPES)
    found = {
        "pixels 0 to 1": x / 255,
        "inverted": 255 - x,
        "uniform noise": random.uniform(0, 255, x.shape),
        "blank": np.zeros((20, x.shape[1])),
        "transposed": images.transpose(0, 2, 1).reshape(x.shape),
        f"shifted by {SHIFT}": _shifted(images, random).reshape(x.shape),
    }
    if fashion is not None:
        clothes = read_idx(find_idx(fashion, "t10k-images-idx3-ubyte"), 3)
        found["Fashion-MNIST"] = clothes[: len(x)].reshape(-1, x.shape[1])
    return {kind: np.ascontiguousarray(rows, dtype=np.float32) for kind, rows in found.items()}


def _shifted(images: Matrix, random: np.random.Generator) -> Matrix:
    """Returns images moved up, down, left or right, with what comes in black."""
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    moves = ((0, SHIFT), (2 * SHIFT, SHIFT), (SHIFT, 0), (SHIFT, 2 * SHIFT))
    chosen = random.integers(len(moves), size=len(images))
    return np.stack(
        [
            image[moves[move][0] : moves[move][0] + SIDE, moves[move][1] : moves[move][1] + SIDE]
            for image, move in zip(padded, chosen, strict=True)
        ]
    )


def mistakes(x: Matrix, known: Matrix, numeric: NDArray[np.int64], random: np.random.Generator) -> dict[str, Matrix]:
    """Returns what becomes of a table's rows by usual mistakes; every row is changed, and only its numeric columns.

    Args:
        x: (rows, D) the rows.
        known: (any, D) the training rows, whose ranges and values are used.
        numeric: the numeric columns.
        random: chooses columns and values.
    """
    values, before = x[:, numeric], known[:, numeric]
    rows, width = values.shape
    swapped = values.copy()
    for row in swapped:
        pairs = np.argwhere(row[:, None] != row)
        if len(pairs):
            pair = pairs[random.integers(len(pairs))]
            row[pair] = row[pair[::-1]]
    found = {
        "columns shuffled": random.permuted(values, axis=1),
        "one column x 10": _scaled(values, 10.0, random),
        "one column x 1,000": _scaled(values, 1000.0, random),
        "one column in inches, not cm": _scaled(values, 1 / 2.54, random),
        "two columns swapped": swapped,
        "uniform within the ranges": random.uniform(before.min(axis=0), before.max(axis=0), values.shape),
        "columns of different rows": np.stack(
            [before[random.integers(len(before), size=rows), column] for column in range(width)], axis=1
        ),
    }
    changed = {}
    for kind, columns in found.items():
        changed[kind] = x.copy()
        changed[kind][:, numeric] = columns
    return changed


def _scaled(values: Matrix, factor: float, random: np.random.Generator) -> Matrix:
    """Returns rows of which one value, that is not 0, is multiplied by a factor."""
    scaled = values.copy()
    for row in scaled:
        places = np.flatnonzero(row)
        if len(places):
            row[random.choice(places)] *= factor
    return scaled
