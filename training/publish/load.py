"""Loads rows as the configuration's `data` section says."""

from dataclasses import replace

import pandas as pd

from chainzrule.service.runtime.spelling import Spelling
from chainzrule.training.columns import with_bends
from chainzrule.training.data.bundled import bundled_dataset
from chainzrule.training.data.config import DataConfig
from chainzrule.training.data.dataset import Dataset
from chainzrule.training.data.download import cache_folder
from chainzrule.training.data.errors import DataError, Problem, all_of
from chainzrule.training.data.mnist import load_mnist
from chainzrule.training.data.table import table_dataset
from chainzrule.training.data.tablefile import read_noted
from chainzrule.training.errors import ConfigError
from chainzrule.training.text.dataset import yelp_full
from chainzrule.training.text.encoding import Encoding
from chainzrule.training.text.pooled import PooledVectors
from chainzrule.training.text.sentences import SentenceVectors


def load(config: DataConfig, seed: int) -> tuple[Dataset, tuple[str, ...]]:
    """Returns the data set, its columns of heavy tails bent where asked for, and notes on how it was read.

    Raises:
        DataError: it cannot be read, or cannot be trained on.
        ConfigError: it asks for rows that only an estimator has.
    """
    dataset, notes = _read(config, seed)
    if not config.bend or dataset.layout is not None:
        return dataset, notes
    return replace(dataset, features=with_bends(dataset.features, dataset.train.x)), notes


def _read(config: DataConfig, seed: int) -> tuple[Dataset, tuple[str, ...]]:
    if config.source == "arrays":
        raise ConfigError(
            "data.source is `arrays` only for rows that an estimator was given; name a file or a data set"
        )
    if config.source == "mnist":
        return load_mnist(config.path), ()
    if config.source == "yelp-full":
        return _yelp_full(config)
    if config.source != "table":
        return bundled_dataset(config.source, seed), ()
    assert config.path is not None
    spelling = Spelling(config.encoding, config.decimal, config.thousands, config.na, config.not_na, dict(config.units))
    frame, read = read_noted(config.path, spelling)
    try:
        dataset, notes = _of_table(config, frame, seed)
    except DataError as error:
        # What was read otherwise than it may have been meant is often the reason.
        raise all_of([*error.problems, *(Problem(f"besides, {note}") for note in read)]) from None
    return dataset, (*read, *notes)


def _of_table(config: DataConfig, frame: pd.DataFrame, seed: int) -> tuple[Dataset, tuple[str, ...]]:
    assert config.target is not None
    return table_dataset(
        frame,
        config.target,
        config.task,
        levels=config.levels,
        categorical=config.categorical,
        numeric=config.numeric,
        drop=config.drop,
        units=config.units,
        dates=config.dates,
        target_unit=config.target_unit,
        drop_unlabelled=config.drop_unlabelled,
        drop_unusable=config.drop_unusable,
        lenient=config.lenient,
        weights=config.weights,
        balanced=config.balanced,
        groups=config.groups,
        time=config.time,
        seed=seed,
    )


def _yelp_full(config: DataConfig) -> tuple[Dataset, tuple[str, ...]]:
    if config.path is None:
        raise ConfigError(
            "the reviews are in no package: name the folder of Yelp Review Full's train.csv and test.csv (--reviews)"
        )
    if config.vectors is None and config.encoder is None:
        raise ConfigError(
            "name word vectors in GloVe's text format (--vectors), or the folder of a sentence encoder (--encoder)"
        )
    encoding: Encoding
    if config.vectors is not None:
        encoding = PooledVectors(config.vectors)
    else:
        assert config.encoder is not None
        encoding = SentenceVectors(config.encoder)
    dataset = yelp_full(config.path, encoding, progress=True)
    assert dataset.test is not None
    rows = f"{len(dataset.train):,} texts to train on, {len(dataset.test):,} to test with"
    return dataset, (f"{rows}, {len(dataset.features)} numbers each, kept in {cache_folder('texts')}",)
