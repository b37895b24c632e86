"""`python -m chainzrule.training`: the same as `chainzrule`, whose commands `fit`, `adopt` and `compare` train."""

import sys

from chainzrule.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
