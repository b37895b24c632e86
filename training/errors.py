"""Everything training refuses to do, as one tree; the command line prints the message on one line and exits with 2.

    TrainingError
    ├── ConfigError         the configuration or the command line asks for something that does not exist
    ├── DivergenceError     the loss or the network's outputs became infinite or NaN
    ├── CheckpointError     a checkpoint that cannot be resumed from
    ├── RepositoryError     the model repository cannot be written to
    ├── VerificationError   the exported graphs do not say what the network says
    └── AdoptionError       another library's model that cannot be adopted

Data that cannot be trained on raise `chainzrule.training.data.errors.DataError`.
"""


class TrainingError(Exception):
    """Base of the tree; the message says what is wrong and what to do next."""


class ConfigError(TrainingError, ValueError):
    """The configuration or the command line asks for something that does not exist."""


class DivergenceError(TrainingError):
    """The loss or the network's outputs became infinite or NaN."""


class CheckpointError(TrainingError):
    """A checkpoint that is damaged, or of another run."""


class RepositoryError(TrainingError):
    """The model repository cannot be written to."""


class VerificationError(TrainingError):
    """The exported graphs do not say what the network says."""


class AdoptionError(TrainingError):
    """Another library's model that cannot be adopted: names what stands in the way, and what to do."""
