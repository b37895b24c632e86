"""Reads and writes the model repository: `<root>/<name>/<version>/{card.json, model.onnx, jacobian.onnx, ...}`.

A version directory is written once and never changed. Every file is read only once, so that the bytes which were hashed
are the ones that are loaded.
"""

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chainzrule.service.artifact.card import GraphFile, ModelCard, Role, parse_card
from chainzrule.service.errors import ArtifactError

CARD_FILE = "card.json"
SIGNATURE_FILE = "card.sig"
MAX_CARD_BYTES = 64 * 2**20
MAX_SIGNATURE_BYTES = 4096
MAX_GRAPH_BYTES = 2**31 - 1  # protobuf has this limit
Signature = tuple[tuple[str, int, int], ...]
Sign = Callable[[str, str, str], bytes]  # of a model's name, its version and its card's sha256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Artifact:
    """Holds a model version as read: its card, and its graphs' bytes, whose hashes equal the card's."""

    card: ModelCard
    graphs: Mapping[Role, bytes]


@dataclass(frozen=True)
class StoredVersion:
    """Names a version directory that was found in the repository, and of which nothing has been read yet."""

    name: str
    version: str
    path: Path

    @property
    def number(self) -> int:
        """Returns the version as a number, because versions are ordered as numbers, not as texts."""
        return int(self.version)

    def signature(self) -> Signature:
        """Returns the files' names, sizes and times, which change while files are copied or when they are replaced."""
        try:
            entries = sorted(self.path.iterdir())
            stats = [(entry.name, entry.lstat()) for entry in entries]
        except OSError:
            return ()
        return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def graph_file(role: Role) -> str:
    """Returns the file name of a graph."""
    return f"{role}.onnx"


def describe_graph(content: bytes, opset: int) -> GraphFile:
    """Returns the card's entry for a graph."""
    return GraphFile(sha256=hashlib.sha256(content).hexdigest(), opset=opset)


def require_model_name(name: str) -> None:
    """Raises `ArtifactError` for a name that no model can have, such as one that leads out of the repository."""
    if not _NAME.fullmatch(name):
        raise ArtifactError(
            "a model name has 1 to 64 letters, digits, '.', '_' or '-' and starts with a letter or digit"
        )


def list_versions(root: Path) -> list[StoredVersion]:
    """Returns all version directories below `root`, each model's newest version first; other entries are skipped.

    Raises:
        OSError: `root` itself cannot be listed.
    """
    found = []
    for model in sorted(root.iterdir()):
        if not _NAME.fullmatch(model.name) or not model.is_dir():
            continue
        try:
            versions = [
                StoredVersion(model.name, entry.name, entry)
                for entry in model.iterdir()
                if _VERSION.fullmatch(entry.name) and entry.is_dir()
            ]
        except (FileNotFoundError, PermissionError):
            continue  # it was removed at this moment, or is not a model's directory
        found += sorted(versions, key=lambda version: version.number, reverse=True)
    return found


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
    """Reads a version directory, each file once, and checks that its graphs are those that the card describes.

    Args:
        path: the version directory, in which there may be a signature, which is not looked at.
        digest: the sha256 that the card's file must have; None where any will do.

    Raises:
        ArtifactError: a file is missing, unexpected, not a regular file, too large, or not the one in the card; or the
            card is another one than `digest` says.
    """
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise ArtifactError(f"the version directory cannot be listed ({error.strerror})") from None
    if CARD_FILE not in names:
        raise ArtifactError("is missing", CARD_FILE)
    content = _read(path / CARD_FILE, MAX_CARD_BYTES)
    if digest not in (None, hashlib.sha256(content).hexdigest()):
        raise ArtifactError("was changed while the version was being loaded", CARD_FILE)
    card = parse_card(content)
    expected = {CARD_FILE, *(graph_file(role) for role in card.graphs)}
    for name in sorted(expected - names):
        raise ArtifactError("is missing", name)
    if names - expected - {SIGNATURE_FILE}:
        raise ArtifactError("the version directory holds files that the card does not name")
    graphs: dict[Role, bytes] = {}
    for role, described in card.graphs.items():
        content = _read(path / graph_file(role), MAX_GRAPH_BYTES)
        if hashlib.sha256(content).hexdigest() != described.sha256:
            raise ArtifactError("its sha256 is not the card's: the file is damaged or was changed", graph_file(role))
        graphs[role] = content
    return Artifact(card, graphs)


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
    home.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".publishing-", dir=home))
    try:
        staging.chmod(0o755)
        for role, content in graphs.items():
            _write(staging / graph_file(role), content)
        while True:
            taken = [int(entry.name) for entry in home.iterdir() if _VERSION.fullmatch(entry.name)]
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


def _read(path: Path, limit: int) -> bytes:
    try:
        # Symbolic links are not followed, so that a version cannot point outside its directory.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ArtifactError(f"is not a readable regular file ({error.strerror})", path.name) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ArtifactError("is not a readable regular file", path.name)
        if status.st_size > limit:
            raise ArtifactError(f"is larger than {limit} bytes", path.name)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    except OSError as error:
        raise ArtifactError(f"cannot be read ({error.strerror})", path.name) from None
    finally:
        os.close(descriptor)


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
