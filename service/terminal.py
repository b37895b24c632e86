"""Tells whether the process has a terminal, which is how one that a person started differs from a service."""

import os


def has_terminal() -> bool:
    """Returns whether the terminal from which the process was started is there; it is not once it was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
