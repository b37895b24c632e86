"""Runs the command `chainzrule` as `python -m chainzrule`."""

import sys

from chainzrule.cli import main

if __name__ == "__main__":
    sys.exit(main())
