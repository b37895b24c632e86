"""Runs the command `chainzrule` with one parser, which gets a command's arguments only when that command is run.

So `chainzrule --help` imports nothing slow, and no command needs the packages of another one.
"""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module

from chainzrule import __version__
from chainzrule.exits import MEANINGS, Exit
from chainzrule.extras import advice

# Each is a module of `chainzrule.commands`. Its `command(parser)` adds the arguments and returns the function that runs
# the command on what was parsed; its `REFUSALS` are the errors whose messages are shown to the user, on one line.
COMMANDS = {
    "serve": "answer predictions over HTTP, each with how stable it is",
    "fit": "train a model on a table and publish it",
    "noise": "measure the columns' noise from repeated measurements",
    "adopt": "publish a model that was trained elsewhere",
    "predict": "put predictions and their stability beside the rows of a CSV or Parquet file",
    "policy": "try on known rows what a server should answer, withhold and have reviewed",
    "models": "list the models of a repository, and whether each would load",
    "keys": "make a key to sign models with, or show the public half of one",
    "sign": "sign models, so that a server can tell who published them",
    "token": "make a token for a caller of the service",
    "compare": "train ChainzRule and its rivals on the same rows, and compare them",
}

# These commands run models as the service does.
ON_THE_RUNTIME = ("serve", "predict", "policy", "models", "sign")

EXAMPLES = """\
examples:
  chainzrule fit --csv patients.csv --target diagnosis --name patients
  chainzrule models
  chainzrule serve --port 8000
  chainzrule predict new-patients.csv --model patients --output predicted.csv

`chainzrule COMMAND --help` explains a command. Models lie in the folder `models` unless --models names another.

exit codes:
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; raises `SystemExit` with it where help or usage was printed."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    top, parsers = _parser()
    if not arguments:
        top.print_help(sys.stderr)
        return Exit.USAGE
    name = arguments[0]
    if name not in parsers:
        top.parse_args(arguments)  # prints the version, help or what is wrong, and exits
        return Exit.USAGE
    if name in ON_THE_RUNTIME:
        # numpy's matrix products are tiny there, and threads for them would only compete with ONNX Runtime's.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        with _quietly_interrupted():
            module = import_module(f"chainzrule.commands.{name}")
            run = module.command(parsers[name])
    except ImportError as error:
        return _missing(name, error)
    options, unknown = top.parse_known_args(arguments, argparse.Namespace(arguments=arguments))
    if unknown:
        parsers[name].error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(run(options))
    except module.REFUSALS as error:
        return _refuse("; ".join(str(error).splitlines()))
    except ImportError as error:
        return _missing(name, error)
    except OSError as error:
        return _refuse(f"{error.filename or 'file'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return Exit.INTERRUPTED


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Returns the whole parser, and each command's own parser by name, which has no arguments yet."""
    top = argparse.ArgumentParser(
        prog="chainzrule",
        description="Train small, smooth networks, and serve every prediction together with how stable it is.",
        epilog=EXAMPLES + "\n".join(f"  {code:<4}{meaning}" for code, meaning in MEANINGS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    return top, {name: commands.add_parser(name, help=summary) for name, summary in COMMANDS.items()}


def _missing(name: str, error: ImportError) -> int:
    """Prints which extra a command needs, and returns the exit code; raises the error again if it has another cause."""
    found = advice(error)
    if found is None:
        raise error
    return _refuse(f"`chainzrule {name}`: {found}")


def _refuse(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return Exit.USAGE


@contextlib.contextmanager
def _quietly_interrupted() -> Iterator[None]:
    """Makes Ctrl-C end the process at once and silently while packages are imported, which takes seconds."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler:  # background jobs may ignore interruptions
        yield
        return
    # A KeyboardInterrupt would not do so, because packages that are being imported catch it or fail halfway.
    signal.signal(signal.SIGINT, lambda *_: os._exit(Exit.INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
