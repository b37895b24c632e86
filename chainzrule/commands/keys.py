"""Implements `chainzrule keys`, which makes keys for signing and shows what may be handed out of them."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from chainzrule.exits import Exit
from chainzrule.service.artifact.keys import PrivateKey, PublicKey, read_private_key, read_public_key
from chainzrule.service.errors import KeyFileError

REFUSALS = (KeyFileError,)

EXAMPLES = """\
examples:
  chainzrule keys new release.key
  chainzrule keys show release.key
  chainzrule keys show release.key.pub

`new` writes the private key, which only its owner may read, and beside it FILE.pub, the public key, which goes to every
server that is to accept what the private one signs (chainzrule serve --require-signature release.key.pub). Neither file
is ever overwritten. `show` prints a key's id, by which signatures name it, and its public half as one line.
"""


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds the arguments, and returns the function that makes or shows a key."""
    parser.description = "Make an Ed25519 key to sign models with, or show the public half of one."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("action", choices=("new", "show"), help="make a key, or show one")
    parser.add_argument("file", type=Path, metavar="FILE", help="the private key; for `show` also a public one")
    return run


def run(options: argparse.Namespace) -> int:
    """Makes or shows a key, and returns the exit code."""
    if options.action == "new":
        key = make(options.file)
        print(f"wrote {options.file} (keep it to yourself) and {_public_file(options.file)}")
    else:
        key = shown(options.file)
    print(f"id      {key.id}\npublic  {key.line}")
    return Exit.FINE


def make(file: Path) -> PublicKey:
    """Writes a new private key and its public one, and returns the public one; raises `KeyFileError` over a file."""
    for taken in (file, _public_file(file)):
        if taken.exists() or taken.is_symlink():
            raise KeyFileError("exists, and keys are never overwritten; name another file", str(taken))
    key = PrivateKey.new()
    _write(file, key.pem, 0o600)
    _write(_public_file(file), key.public.pem, 0o644)
    return key.public


def shown(file: Path) -> PublicKey:
    """Returns the public half of the key in a file, whichever half that holds; raises `KeyFileError` for neither."""
    try:
        return read_private_key(file).public
    except KeyFileError:
        return read_public_key(file)


def _public_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.pub")


def _write(file: Path, content: bytes, mode: int) -> None:
    """Writes a new file, which has its mode from the first moment."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
