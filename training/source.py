"""From the configuration's `data` section to rows."""

from training.config import DataConfig
from training.data.bundled import bundled_dataset
from training.data.dataset import Dataset
from training.data.mnist import load_mnist
from training.data.table import table_dataset
from training.data.tablefile import read_table
from training.errors import ConfigError


def load(config: DataConfig, seed: int) -> tuple[Dataset, tuple[str, ...]]:
    """The data set, and notes for the user on how it was read.

    Raises:
        DataError: it cannot be read, or cannot be trained on.
        ConfigError: it asks for rows that only an estimator has.
    """
    if config.source == "arrays":
        raise ConfigError(
            "data.source is `arrays` only for rows that an estimator was given; name a file or a data set"
        )
    if config.source == "mnist":
        return load_mnist(config.path), ()
    if config.source != "table":
        return bundled_dataset(config.source, seed), ()
    assert config.path is not None
    assert config.target is not None
    return table_dataset(
        read_table(config.path),
        config.target,
        config.task,
        levels=config.levels,
        categorical=config.categorical,
        numeric=config.numeric,
        drop=config.drop,
        units=config.units,
        target_unit=config.target_unit,
        drop_unlabelled=config.drop_unlabelled,
        seed=seed,
    )
