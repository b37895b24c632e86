"""Defines the errors of training as one tree; the command line prints the message on one line and exits with 2.

    TrainingError
    ├── ConfigError         the configuration or the command line asks for something that does not exist
    ├── DivergenceError     the loss or the network's outputs became infinite or NaN
    ├── CheckpointError     a checkpoint that cannot be resumed from
    ├── StorageError        a checkpoint that cannot be written
    ├── RepositoryError     the model repository cannot be written to
    ├── VerificationError   the exported graphs do not say what the network says
    └── AdoptionError       another library's model that cannot be adopted

Data that cannot be trained on raise `chainzrule.training.data.errors.DataError`.
"""


class TrainingError(Exception):
    """Is the base of the tree; the message says what is wrong and what to do next."""


class ConfigError(TrainingError, ValueError):
    """Reports a configuration or command line that asks for something that does not exist."""


class DivergenceError(TrainingError):
    """Reports that the loss or the network's outputs became infinite or NaN."""


class CheckpointError(TrainingError):
    """Reports a checkpoint that is damaged or belongs to another run."""


class StorageError(TrainingError):
    """Reports that a checkpoint cannot be written, mostly because there is no room; an earlier one is kept."""


class RepositoryError(TrainingError):
    """Reports that the model repository cannot be written to."""


class VerificationError(TrainingError):
    """Reports that the exported graphs do not compute what the network computes."""


class AdoptionError(TrainingError):
    """Reports another library's model that cannot be adopted, with the obstacle and what to do."""
