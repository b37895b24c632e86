"""Reads and writes the model repository: `<root>/<name>/<version>/{card.json, model.onnx, jacobian.onnx, ...}`.

A version directory is written once and never changed. The bytes that are loaded are always those which were hashed.
"""

import contextlib
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from chainzrule.service.artifact.card import GraphFile, ModelCard, Role, parse_card
from chainzrule.service.errors import ArtifactError

log = logging.getLogger(__name__)

CARD_FILE = "card.json"
SIGNATURE_FILE = "card.sig"
MAX_CARD_BYTES = 64 * 2**20
MAX_SIGNATURE_BYTES = 4096
MAX_GRAPH_BYTES = 2**31 - 1  # protobuf has this limit
Sign = Callable[[str, str, str], bytes]  # of a model's name, its version and its card's sha256
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
VERSION = re.compile(r"[1-9][0-9]{0,17}")  # counted from 1, or Unix times
PIECE = 2**20  # bytes of a file that are in memory at a time while it is only hashed


@dataclass(frozen=True)
class Artifact:
    """Holds a model version as read: its card, and its graphs' bytes, whose hashes equal the card's.

    Attributes:
        card: the model card.
        graphs: the graphs' bytes.
        digest: the sha256 of the card's file, which holds the graphs' hashes and so stands for the whole version; empty
            for an artifact that was never written.
    """

    card: ModelCard
    graphs: Mapping[Role, bytes]
    digest: str = ""


def graph_file(role: Role) -> str:
    """Returns the file name of a graph."""
    return f"{role}.onnx"


def describe_graph(content: bytes, opset: int) -> GraphFile:
    """Returns the card's entry for a graph."""
    return GraphFile(sha256=hashlib.sha256(content).hexdigest(), opset=opset)


def require_model_name(name: str) -> None:
    """Raises `ArtifactError` for a name that no model can have, such as one that leads out of the repository."""
    if not NAME.fullmatch(name):
        raise ArtifactError(
            "a model name has 1 to 64 letters, digits, '.', '_' or '-' and starts with a letter or digit"
        )


def card_digest(path: Path) -> str:
    """Returns the sha256 of the card's file in a version directory; raises `ArtifactError` where it cannot be read."""
    return hashlib.sha256(_read(path / CARD_FILE, MAX_CARD_BYTES)).hexdigest()


def read_signature(path: Path) -> bytes:
    """Returns the signature file of a version directory; raises `ArtifactError` where there is none to be read."""
    if not (path / SIGNATURE_FILE).exists():
        raise ArtifactError(
            "is missing: the version is not signed, and only signed ones are served here", SIGNATURE_FILE
        )
    return _read(path / SIGNATURE_FILE, MAX_SIGNATURE_BYTES)


def read_artifact(path: Path, digest: str | None = None) -> Artifact:
    """Reads a version directory, and checks that its graphs are those that the card describes.

    Args:
        path: the version directory, in which there may be a signature, which is not looked at.
        digest: the digest that the artifact must have; None where any will do.

    Raises:
        ArtifactError: a file is missing, unexpected, not a regular file, too large, or not the one in the card; or the
            version is another one than `digest` says.
    """
    card, found = _read_card(path, digest)
    graphs: dict[Role, bytes] = {}
    for role, described in card.graphs.items():
        file = path / graph_file(role)
        _require_hash(file, described)
        content = _read(file, MAX_GRAPH_BYTES)
        if hashlib.sha256(content).hexdigest() != described.sha256:
            raise _other_hash(file)
        graphs[role] = content
    return Artifact(card, graphs, found)


def holds(path: Path, digest: str) -> bool:
    """Returns whether a version directory holds exactly the artifact of this digest; reads no whole graph at once."""
    try:
        card, found = _read_card(path)
        for role, described in card.graphs.items():
            _require_hash(path / graph_file(role), described)
    except ArtifactError:
        return False
    return found == digest


def publish(
    root: Path,
    name: str,
    graphs: Mapping[Role, bytes],
    describe: Callable[[str], ModelCard],
    accept: Callable[[Artifact], None],
    sign: Sign | None = None,
) -> Path:
    """Writes the next version of a model to a temporary directory, which `accept` checks, and then renames it.

    Args:
        root: the repository, which is created if it does not exist.
        name: the model's name.
        graphs: the ONNX files by role.
        describe: makes the card for a version number; called again when another publisher has taken the number.
        accept: raises when the artifact, as read back from disk, must not be published.
        sign: makes the signature that is published with the version; None publishes it unsigned.

    Returns:
        The new version directory.
    """
    require_model_name(name)
    home = root / name
    _make_readable(home)
    staging = Path(tempfile.mkdtemp(prefix=".publishing-", dir=home))
    try:
        staging.chmod(0o755)
        for role, content in graphs.items():
            _write(staging / graph_file(role), content)
        while True:
            taken = [int(entry.name) for entry in home.iterdir() if VERSION.fullmatch(entry.name)]
            card = describe(str(max(taken, default=0) + 1))
            content = card.model_dump_json(indent=1, exclude_none=True).encode() + b"\n"
            _write(staging / CARD_FILE, content)
            accept(read_artifact(staging))
            if sign is not None:
                digest = hashlib.sha256(content).hexdigest()
                _write(staging / SIGNATURE_FILE, sign(card.name, card.version, digest))
            target = home / card.version
            try:
                staging.rename(target)
            except OSError:
                if not target.exists():
                    raise
                continue  # another publisher has taken this number
            _sync_directory(home)
            _warn_of_closed((root, home))
            return target
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_signature(path: Path, content: bytes) -> None:
    """Puts a signature into a version directory, where the service sees all of it or, until then, the one before it."""
    descriptor, staged = tempfile.mkstemp(prefix=".signing-", dir=path.parent)
    os.close(descriptor)
    try:
        _write(Path(staged), content)
        Path(staged).replace(path / SIGNATURE_FILE)
        _sync_directory(path)
    finally:
        Path(staged).unlink(missing_ok=True)


def _read_card(path: Path, digest: str | None = None) -> tuple[ModelCard, str]:
    """Returns the card and its file's sha256, where the directory has the card's files and else only hidden ones."""
    try:
        names = {entry.name for entry in path.iterdir() if not entry.name.startswith(".")}
    except OSError as error:
        raise ArtifactError(f"the version directory cannot be listed ({error.strerror})") from None
    if CARD_FILE not in names:
        raise ArtifactError("is missing", CARD_FILE)
    content = _read(path / CARD_FILE, MAX_CARD_BYTES)
    found = hashlib.sha256(content).hexdigest()
    if digest not in (None, found):
        raise ArtifactError("was changed while the version was being loaded", CARD_FILE)
    card = parse_card(content)
    expected = {CARD_FILE, *(graph_file(role) for role in card.graphs)}
    for name in sorted(expected - names):
        raise ArtifactError("is missing", name)
    for name in sorted(names - expected - {SIGNATURE_FILE}):
        raise ArtifactError(f"the version directory holds {ascii(name)[:80]}, which the card does not name: delete it")
    return card, found


def _require_hash(path: Path, described: GraphFile) -> None:
    """Raises `ArtifactError` where a graph's file is not the card's, which takes no more memory than a piece of it."""
    found = hashlib.sha256()
    with _opened(path, MAX_GRAPH_BYTES) as file:
        while piece := file.read(PIECE):
            found.update(piece)
    if found.hexdigest() != described.sha256:
        raise _other_hash(path)


def _other_hash(path: Path) -> ArtifactError:
    return ArtifactError("its sha256 is not the card's: the file is damaged or was changed", path.name)


def _read(path: Path, limit: int) -> bytes:
    with _opened(path, limit) as file:
        return file.read()


@contextlib.contextmanager
def _opened(path: Path, limit: int) -> Iterator[BinaryIO]:
    """Opens a file of a version for reading; whatever is wrong with it becomes an `ArtifactError`."""
    # A link is followed within the version's directory, as ConfigMaps have them, and never out of it.
    target = os.path.realpath(path)
    if not target.startswith(os.path.realpath(path.parent) + os.sep):
        raise ArtifactError("is a link that leads out of the version's directory", path.name)
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ArtifactError(f"is not a readable regular file ({error.strerror})", path.name) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ArtifactError("is not a readable regular file", path.name)
        if status.st_size > limit:
            raise ArtifactError(f"is larger than {limit} bytes", path.name)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    except OSError as error:
        raise ArtifactError(f"cannot be read ({error.strerror})", path.name) from None
    finally:
        os.close(descriptor)


def _make_readable(path: Path) -> None:
    """Makes a folder and those above it where they are missing, so that others may read it whatever the umask is."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(PermissionError):  # somebody else made it at this moment
            folder.chmod(0o755)


def _warn_of_closed(folders: Iterable[Path]) -> None:
    for folder in folders:
        if folder.stat().st_mode & 0o005 != 0o005:
            log.warning("%s is closed to other users: a service of another user needs `chmod o+rx`", folder)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
