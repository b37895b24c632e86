"""Runs `chainzrule serve` as `python -m chainzrule.service`."""

import sys

from chainzrule.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
