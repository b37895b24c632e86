"""Loads the problems that methods are compared on: rows split in three and standardised, the same for every method."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from chainzrule.service.artifact.interface import Task
from chainzrule.training.columns import Columns
from chainzrule.training.data.bundled import bundled_dataset
from chainzrule.training.data.dataset import Dataset, Rows
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.mnist import fetch_mnist, load_idx
from chainzrule.training.data.table import table_dataset
from chainzrule.training.data.tablefile import read_table
from chainzrule.training.fairfight.functions import FUNCTIONS, draw
from chainzrule.training.fitting.loop import Batch
from chainzrule.training.nn.link import Link, link_of
from chainzrule.training.text.encoded import TextFile, encoded
from chainzrule.training.text.pooled import PooledVectors
from chainzrule.training.text.reviews import LEVELS, Read, read_sst, read_yelp_sample

Kind = Literal["image", "table", "function"]

FUNCTION_ROWS = (8000, 2000, 10000)  # training, validation, test
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.2


@dataclass(frozen=True)
class Problem:
    """Holds a task with its rows, split.

    Attributes:
        name: the name in the report and on the command line.
        kind: what the rows are, which decides how they are corrupted.
        task: what is predicted.
        scores: columns of a network's output: a classification's labels, the steps between ordered levels, or 1.
        train: standardised (rows, D) features and (rows,) targets; a regression's targets are standardised too.
        validation: rows that settings are chosen on; a chosen setting is then fitted to `train` and these together.
        test: rows that the report speaks of.
        side: an image's height and width; 0 else.
        unit: a regression's standard deviation: errors times it are in the target's own unit.
        levels: how many ordered levels the target has; 0 where there is no order.
    """

    name: str
    kind: Kind
    task: Task
    scores: int
    train: Batch
    validation: Batch
    test: Batch
    side: int = 0
    unit: float = 1.0
    levels: int = 0

    @property
    def link(self) -> Link:
        """Returns the link, which says what a network's scores mean."""
        return link_of(self.task)

    @property
    def inputs(self) -> int:
        """Returns D, the number of columns."""
        return self.train[0].shape[1]

    @property
    def everything(self) -> Batch:
        """Returns the rows to fit a chosen setting to: training and validation rows."""
        return tuple(torch.cat(parts) for parts in zip(self.train, self.validation, strict=True))  # type: ignore[return-value]

    @property
    def unordered(self) -> "Problem":
        """Returns the same problem for a method without order: ordered levels as labels of a classification."""
        return replace(self, task="classification", scores=self.levels) if self.levels else self

    def subset(self, rows: int) -> "Problem":
        """Returns the problem with `rows` training rows and a fifth as many validation rows, for slow methods."""
        x, y = self.train
        held, labels = self.validation
        watched = rows // 5
        return replace(self, train=(x[:rows], y[:rows]), validation=(held[:watched], labels[:watched]))


def load(name: str, data: Path | None, seed: int) -> Problem:
    """Returns a problem by its name.

    Args:
        name: one of `PROBLEMS`.
        data: the folder in which problems that no package carries are looked for (docs/science.md names the files).
        seed: the seed of the split, where the problem has no test rows of its own.

    Raises:
        DataError: no such problem, or its files are not in `data`.
    """
    if name not in PROBLEMS:
        raise DataError(f"no problem is named '{name}'; there are {', '.join(PROBLEMS)}")
    return PROBLEMS[name](name, data, seed)


def _function(name: str, _data: Path | None, seed: int) -> Problem:
    drawn = [draw(name, rows, 1000 * seed + part) for part, rows in enumerate(FUNCTION_ROWS)]
    mean, std = float(drawn[0][1].mean()), float(drawn[0][1].std())
    # The inputs are uniform over [-1, 1], with standard deviation 3^-1/2.
    train, validation, test = (_tensors(x * 3**0.5, (y - mean) / std) for x, y in drawn)
    return Problem(name, "function", "regression", 1, train, validation, test)


def _images(name: str, data: Path | None, _seed: int) -> Problem:
    folder = data / name if data else None
    if folder is None or not folder.is_dir():
        if name != "mnist":
            raise DataError(f"{name}: put its four IDX files into a folder '{name}' of the data folder (--data)")
        folder = fetch_mnist()
    dataset = load_idx(folder)
    assert dataset.test is not None
    order = np.random.default_rng(0).permutation(len(dataset.train))
    rows = dataset.train.take(order[10_000:]), dataset.train.take(order[:10_000]), dataset.test
    assert dataset.layout is not None
    return _standardised(name, "image", dataset, rows, side=dataset.layout.height)


def _bundled(name: str, _data: Path | None, seed: int) -> Problem:
    return _table(name, bundled_dataset(name), seed)


def _pima(name: str, data: Path | None, seed: int) -> Problem:
    columns = ["pregnancies", "glucose", "pressure", "triceps", "insulin", "bmi", "pedigree", "age", "diabetes"]
    path = _file(name, data, "pima.csv")
    frame = read_table(path)
    if list(frame.columns) != columns:
        raise DataError(f"{path}: the columns must be {', '.join(columns)}")
    return _table(name, table_dataset(frame, "diabetes", "classification")[0], seed)


def _credit_default(name: str, data: Path | None, seed: int) -> Problem:
    frame = read_table(_file(name, data, "UCI_Credit_Card.csv"))
    for column in frame.columns:  # amounts of money reach 50 standard deviations; their logarithms do not
        if column.startswith(("LIMIT_BAL", "BILL_AMT", "PAY_AMT")):
            frame[column] = np.sign(frame[column]) * np.log1p(frame[column].abs())
    dataset, _ = table_dataset(frame, "default-payment-next-month", "classification", drop=["ID"], seed=seed)
    return _table(name, dataset, seed)


def _texts(name: str, data: Path | None, _seed: int) -> Problem:
    """Returns reviews as pooled word vectors, with their own validation and test rows."""
    files, read = TEXTS[name]
    found = [TextFile(_file(name, data, f"{name}/{file}"), read) for file in files]
    train, *others = encoded(found, PooledVectors(_file(name, data, "vectors.txt")))
    mean, std = train.x.mean(axis=0), train.x.std(axis=0)
    parts = [_tensors((part.x - mean) / np.where(std > 0, std, 1), part.levels) for part in (train, *others)]
    return Problem(name, "table", "ordinal", LEVELS - 1, parts[0], parts[1], parts[2], levels=LEVELS)


def _table(name: str, dataset: Dataset, seed: int) -> Problem:
    """Returns a table with a new split for every seed, because a small table's figures depend much on its split."""
    rows = dataset.train
    if dataset.test is not None:
        rows = Rows(np.concatenate([rows.x, dataset.test.x]), np.concatenate([rows.y, dataset.test.y]))
    order = np.random.default_rng(seed).permutation(len(rows))
    test = round(TEST_SHARE * len(rows))
    watched = test + round(VALIDATION_SHARE * (len(rows) - test))
    parts = rows.take(order[watched:]), rows.take(order[test:watched]), rows.take(order[:test])
    return _standardised(name, "table", dataset, parts)


def _standardised(name: str, kind: Kind, dataset: Dataset, rows: tuple[Rows, Rows, Rows], side: int = 0) -> Problem:
    columns = Columns.of(dataset.features, dataset.layout).of_rows(rows[0].x)
    unit, mean = 1.0, 0.0
    measured = not link_of(dataset.task).has_labels
    if measured:
        mean, unit = float(rows[0].y.mean()), float(rows[0].y.std())
    train, validation, test = (
        _tensors(columns.standardise(part.x), (part.y - mean) / unit if measured else part.y) for part in rows
    )
    return Problem(name, kind, dataset.task, dataset.scores, train, validation, test, side, unit)


def _tensors(x: NDArray[np.floating], y: NDArray[np.generic]) -> Batch:
    labels = torch.from_numpy(np.ascontiguousarray(y))
    return torch.from_numpy(x).float(), labels.float() if labels.is_floating_point() else labels.long()


def _file(name: str, data: Path | None, file: str) -> Path:
    if data is None or not (path := data / file).is_file():
        raise DataError(f"{name}: put {file} into the data folder (--data); docs/science.md says where it comes from")
    return path


TEXTS: Mapping[str, tuple[Sequence[str], Read]] = {
    "yelp5": (("train.csv", "dev.csv", "test.csv"), read_yelp_sample),
    "sst5": (("train.txt", "dev.txt", "test.txt"), read_sst),
}
"""Files to train on, to choose settings on and to test with, and how they are read."""

Load = Callable[[str, Path | None, int], Problem]

PROBLEMS: Mapping[str, Load] = {
    **dict.fromkeys(FUNCTIONS, _function),
    "breast-cancer": _bundled,
    "diabetes": _bundled,
    "pima": _pima,
    "mnist": _images,
    "fashion-mnist": _images,
    "credit-default": _credit_default,
    **dict.fromkeys(TEXTS, _texts),
}
"""Every problem, the cheap and telling ones first."""

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(FUNCTIONS, "function"),
    **dict.fromkeys(("breast-cancer", "diabetes", "pima", "credit-default", *TEXTS), "table"),
    **dict.fromkeys(("mnist", "fashion-mnist"), "image"),
}
"""What each problem's rows are."""

BINARY = ("breast-cancer", "pima", "credit-default")
"""Problems of two labels."""

GIVEN_SPLIT = frozenset(("mnist", "fashion-mnist", *TEXTS))
"""Problems whose test rows are their source's own; the others are split anew with every seed."""
