"""Finds a model version in a repository."""

from pathlib import Path

from chainzrule.service.artifact.store import CARD_FILE, StoredVersion, list_versions
from chainzrule.service.errors import UnknownModel, UnknownVersion


def find(path: Path, name: str | None = None, version: str | None = None) -> StoredVersion:
    """Returns the stored version of a model; raises `UnknownModel` or `UnknownVersion` where there is none."""
    if (path / CARD_FILE).is_file():
        if name is not None or version is not None:
            raise UnknownModel(f"{path} is one version's directory; name the repository, or no model in it")
        return StoredVersion(path.absolute().parent.name, path.absolute().name, path)
    try:
        stored = list_versions(path)
    except OSError as error:
        raise UnknownModel(f"{path} is no model repository ({error.strerror})") from None
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
