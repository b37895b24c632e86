"""Defines the error of this package, raised for data that cannot be trained on."""


class DataError(ValueError):
    """Reports data that cannot be trained on; the message names the file or column and says what to do about it."""
