"""`python -m chainzrule`: the command `chainzrule`, by the interpreter that is named."""

import sys

from chainzrule.cli import main

if __name__ == "__main__":
    sys.exit(main())
