"""Implements `chainzrule token`, which makes a token for a caller of the service."""

import argparse
import sys
from collections.abc import Callable

from chainzrule.exits import Exit
from chainzrule.service.api.access.scopes import Scope
from chainzrule.service.api.access.tokens import line_of, made

REFUSALS = (ValueError,)

EXAMPLES = """\
examples:
  chainzrule token clinic --scopes predict >> tokens
  chainzrule token prometheus --scopes observe >> tokens
  chainzrule serve --token-file tokens

The line that states the token goes to standard output, and belongs into a file that --token-file names; it holds only
a hash. The token itself is shown once, on standard error: give it to the caller, and keep it nowhere else. A running
service takes a new line, and stops taking one that was removed, within seconds.
"""


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds the arguments, and returns the function that makes the token."""
    parser.description = "Make a token for a caller of the service, and the line by which the service knows it."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", metavar="NAME", help="whom the token is for; limits count by this name")
    parser.add_argument(
        "--scopes",
        default=Scope.PREDICT.value,
        help=f"what it permits, comma-separated: {', '.join(Scope)} (%(default)s)",
    )
    return run


def run(options: argparse.Namespace) -> int:
    """Prints the token and its line, and returns the exit code."""
    names = [name.strip() for name in options.scopes.split(",")]
    if not set(names) <= set(Scope):
        raise ValueError(f"--scopes: takes {', '.join(Scope)}, separated by commas")
    token = made()
    line = line_of(token, options.name, frozenset(map(Scope, names)))
    print(token, file=sys.stderr)
    print(line)
    return Exit.FINE
