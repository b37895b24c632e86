"""Makes a signer of the private key in a file, for commands that publish."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chainzrule.service.artifact.store import Sign


def signer(file: Path) -> "Sign":
    """Returns what signs with the key in a file.

    Raises:
        KeyFileError: the file holds no private key.
        ImportError: the extra `signatures` is not installed.
    """
    # Only here, because signing needs an extra that publishing alone does not.
    from chainzrule.service.artifact.keys import read_private_key

    return read_private_key(file).sign
