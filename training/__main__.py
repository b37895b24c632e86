"""Runs `chainzrule`, whose commands `fit`, `adopt` and `compare` train, as `python -m chainzrule.training`."""

import sys

from chainzrule.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
