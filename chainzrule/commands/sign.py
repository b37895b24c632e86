"""Implements `chainzrule sign`, which signs versions that the service would serve."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from chainzrule.exits import Exit
from chainzrule.loaded import open_version
from chainzrule.repository import versions_at
from chainzrule.service.artifact.keys import Keyring, PrivateKey, read_private_key
from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.artifact.store import card_digest, write_signature
from chainzrule.service.errors import ArtifactError, ServiceError

REFUSALS = (ServiceError,)

EXAMPLES = """\
examples:
  chainzrule sign models/patients/3 --key release.key
  chainzrule sign models/patients --key release.key
  chainzrule sign models --key release.key

Every version is opened and checked first, as the service does it; where one of them would not load, none is signed. The
signature is the file card.sig beside the card. It covers the name, the version, the card and, through the card, every
graph. What this key has signed already is left as it is; another key's signature is replaced.
"""


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds the arguments, and returns the function that signs."""
    parser.description = "Sign one version, all versions of a model, or all of a repository."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("path", type=Path, metavar="DIR", help="a version, a model, or a repository")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="the private key, as `keys new` makes it"
    )
    return run


def run(options: argparse.Namespace) -> int:
    """Signs versions, prints which, and returns the exit code."""
    key = read_private_key(options.key)
    signed = sign(versions_at(options.path), key)
    for stored, done in signed:
        print(f"{stored.name} version {stored.version}: {'signed' if done else 'was signed already'}")
    return Exit.FINE


def sign(versions: Sequence[StoredVersion], key: PrivateKey) -> list[tuple[StoredVersion, bool]]:
    """Signs versions, and returns of each whether that was left to do.

    Raises:
        ArtifactError: one of them would not load; then none is signed.
    """
    keys = Keyring({key.public.id: key.public})
    digests = {stored: card_digest(stored.path) for stored in versions}
    for stored, digest in digests.items():
        open_version(stored, digest)
    left = [stored for stored in versions if not _signed(stored, keys)]
    for stored in left:
        write_signature(stored.path, key.sign(stored.name, stored.version, digests[stored]))
    return [(stored, stored in left) for stored in versions]


def _signed(stored: StoredVersion, keys: Keyring) -> bool:
    try:
        keys.require_signature(stored.path, stored.name, stored.version)
    except ArtifactError:
        return False
    return True
