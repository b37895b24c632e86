"""Finds model versions in a repository."""

from pathlib import Path

from chainzrule.service.artifact.listing import StoredVersion, list_versions
from chainzrule.service.artifact.store import CARD_FILE
from chainzrule.service.errors import UnknownModel, UnknownVersion


def find(path: Path, name: str | None = None, version: str | None = None) -> StoredVersion:
    """Returns the stored version of a model; raises `UnknownModel` or `UnknownVersion` where there is none."""
    if (path / CARD_FILE).is_file():
        if name is not None or version is not None:
            raise UnknownModel(f"{path} is one version's directory; name the repository, or no model in it")
        return _version_at(path)
    stored = _listed(path)
    names = list(dict.fromkeys(one.name for one in stored))
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        wanted = "name a model" if name is None else f"there is no model '{name}'"
        raise UnknownModel(f"{wanted}; {path} has {', '.join(names) or 'none'}")
    versions = [one for one in stored if one.name == name]  # newest first
    for one in versions:
        if version in (None, one.version):
            return one
    raise UnknownVersion(f"{name} has no version {version}; it has {', '.join(one.version for one in versions)}")


def versions_at(path: Path) -> list[StoredVersion]:
    """Returns the version whose directory this is, or all versions of the model or of the repository that it is.

    Raises:
        UnknownModel: it is none of these, or holds no version.
    """
    if (path / CARD_FILE).is_file():
        return [_version_at(path)]
    if any(path.glob(f"*/{CARD_FILE}")):
        found = [stored for stored in _listed(path.absolute().parent) if stored.name == path.absolute().name]
    else:
        found = _listed(path)
    if not found:
        raise UnknownModel(f"{path} is no version, no model and no repository that holds any")
    return found


def _version_at(path: Path) -> StoredVersion:
    return StoredVersion(path.absolute().parent.name, path.absolute().name, path)


def _listed(root: Path) -> list[StoredVersion]:
    try:
        return list_versions(root)
    except OSError as error:
        raise UnknownModel(f"{root} is no model repository ({error.strerror})") from None
