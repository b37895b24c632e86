"""Finds the model versions of a repository: `<root>/<name>/<version>/`, and says of every other folder why it is none.

What cannot be looked at is told apart from what is not there, because a disk that fails for a moment must not take
models out of service.
"""

import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chainzrule.service.artifact.store import CARD_FILE, NAME, VERSION, Artifact, read_artifact
from chainzrule.service.errors import ArtifactError
from chainzrule.service.fingerprint import Fingerprint, fingerprint

VersionFingerprint = tuple[tuple[str, Fingerprint], ...]  # of each file, by its name
_GONE = (FileNotFoundError, NotADirectoryError)
_SHOWN = 64  # characters of a name


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

    def fingerprint(self) -> VersionFingerprint:
        """Returns what changes when a file of the version is written, replaced or made readable.

        Links are followed, so that a ConfigMap's files change when its link `..data` is swapped.

        Raises:
            OSError: the directory or one of its files cannot be looked at.
        """
        seen = []
        for entry in sorted(self.path.iterdir()):
            try:
                found = entry.stat()
            except _GONE:
                found = entry.lstat()  # a link into nowhere
            seen.append((entry.name, fingerprint(found)))
        return tuple(seen)

    def read(self, digest: str | None = None) -> Artifact:
        """Reads the version; raises `ArtifactError` as `read_artifact` does, or where the card is another version's."""
        artifact = read_artifact(self.path, digest)
        if (artifact.card.name, artifact.card.version) != (self.name, self.version):
            raise ArtifactError("its name and version are not those of its directory", CARD_FILE)
        return artifact


@dataclass
class Listing:
    """Holds what one look at a repository found.

    Attributes:
        versions: each model's versions, newest first.
        fingerprints: the fingerprints of the versions for which they were asked.
        unreadable: what cannot be looked at, with the reason: a model's name, or a version as `name/version`.
        passed_over: the folders that are no model or no version, with the reason.
    """

    versions: dict[str, list[StoredVersion]] = field(default_factory=dict)
    fingerprints: dict[StoredVersion, VersionFingerprint] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)


def list_repository(root: Path, known: Mapping[str, Collection[str]] | None = None) -> Listing:
    """Returns the models of a repository with their versions.

    Args:
        root: the repository.
        known: the versions, by model, whose fingerprints are wanted.

    Raises:
        OSError: `root` itself cannot be listed.
    """
    listing = Listing()
    for model in sorted(root.iterdir()):
        if not _is_folder(model, model.name, listing):
            continue
        if not NAME.fullmatch(model.name):
            reason = "a model's name has 1 to 64 letters, digits, '.', '_' or '-' and starts with a letter or digit"
            listing.passed_over[_shown(model.name)] = reason
            continue
        try:
            versions = list(_versions(model, listing))
        except _GONE:
            continue  # it was removed at this moment
        except OSError as error:
            listing.unreadable[model.name] = _reason(error)
            continue
        listing.versions[model.name] = sorted(versions, key=lambda version: version.number, reverse=True)
        for stored in versions:
            if stored.version in (known or {}).get(model.name, ()):
                try:
                    listing.fingerprints[stored] = stored.fingerprint()
                except OSError as error:
                    listing.unreadable[f"{stored.name}/{stored.version}"] = _reason(error)
    return listing


def list_versions(root: Path) -> list[StoredVersion]:
    """Returns all versions of a repository, each model's newest first; raises `OSError` as `list_repository` does."""
    return [stored for versions in list_repository(root).versions.values() for stored in versions]


def _versions(model: Path, listing: Listing) -> Iterator[StoredVersion]:
    for entry in model.iterdir():
        place = f"{model.name}/{_shown(entry.name)}"
        if entry.name == CARD_FILE:
            listing.passed_over[place] = f"a version is a folder of its own: move its files to {model.name}/1/"
        elif _is_folder(entry, place, listing) or place in listing.unreadable:
            if VERSION.fullmatch(entry.name):
                yield StoredVersion(model.name, entry.name, entry)
            else:
                listing.passed_over[place] = "a version is a number without leading zeros, such as 1"


def _is_folder(entry: Path, place: str, listing: Listing) -> bool:
    """Returns whether an entry is a folder, and not hidden; notes what cannot be looked at, and links into nowhere."""
    if entry.name.startswith("."):
        return False
    try:
        return stat.S_ISDIR(entry.stat().st_mode)
    except _GONE:
        if entry.is_symlink():
            listing.passed_over[_shown(place)] = "it is a link to what is not there"
    except OSError as error:
        listing.unreadable[_shown(place)] = _reason(error)
    return False


def _shown(name: str) -> str:
    """Returns a file's name as it may be logged."""
    text = name.encode("utf-8", "backslashreplace").decode()
    text = re.sub(r"[^\x20-\x7e]", "?", text)
    return text if len(text) <= _SHOWN + 65 else f"{text[:_SHOWN]}..."


def _reason(error: OSError) -> str:
    return error.strerror or os.strerror(error.errno or 0)
