"""Defines the exit codes of all commands."""

from enum import IntEnum


class Exit(IntEnum):
    """Says how a command ended."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130


MEANINGS = {
    Exit.FINE: "all went well; `serve` was told to stop, and has finished what it had begun",
    Exit.FAILED: "what was asked for is sound, but failed: the server did not start, or a model would not load",
    Exit.USAGE: "the command, a setting, a file or a model cannot be used, or an extra is not installed; says which",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
}
