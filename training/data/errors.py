"""The one error of this package: data that cannot be trained on."""


class DataError(ValueError):
    """Data that cannot be trained on; the message names the file or the column, and says what to do about it."""
