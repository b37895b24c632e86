"""`python -m training`: the command line, whose imports take seconds and can be interrupted quietly."""

import os
import signal
import sys

INTERRUPTED = 130


def main() -> int:
    """Import the command line and run it; returns its exit code."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # a background job may ignore interruptions
        # Not by KeyboardInterrupt: the packages that are being imported catch it, or fail otherwise halfway.
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    if sys.argv[1:2] == ["adopt"]:  # needs no torch, and loads none
        from chainzrule.training.adopt.command import main as adopt

        signal.signal(signal.SIGINT, handler)
        return adopt(sys.argv[2:])
    from chainzrule.training.commandline import main as run

    signal.signal(signal.SIGINT, handler)
    return run()


if __name__ == "__main__":
    sys.exit(main())
