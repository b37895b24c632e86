from dataclasses import replace
from pathlib import Path

import pytest

from chainzrule.repository import find, versions_at
from chainzrule.service.errors import UnknownModel, UnknownVersion
from tests.artifacts import BINARY, CLASSIFIER


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed in range(10):
        replace(CLASSIFIER, seed=seed).publish(tmp_path, check=lambda artifact: None)
    return tmp_path


def test_the_newest_version_by_its_number(root: Path) -> None:
    assert find(root).path == root / "toy" / "10"
    assert find(root, "toy").version == "10"
    assert find(root, "toy", "2").path == root / "toy" / "2"


def test_a_versions_own_directory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find(root / "toy" / "3")
    assert (found.name, found.version) == ("toy", "3")
    monkeypatch.chdir(root / "toy" / "4")
    assert (find(Path()).name, find(Path()).version) == ("toy", "4")
    with pytest.raises(UnknownModel, match="one version's directory"):
        find(root / "toy" / "3", "toy")


def test_what_is_not_there_is_named_with_what_is(root: Path) -> None:
    with pytest.raises(UnknownModel, match=r"there is no model 'other'; .* has toy"):
        find(root, "other")
    with pytest.raises(UnknownVersion, match="toy has no version 11; it has 10, 9, 8"):
        find(root, "toy", "11")
    BINARY.publish(root)
    with pytest.raises(UnknownModel, match=r"name a model; .* has binary, toy"):
        find(root)
    with pytest.raises(UnknownModel, match=r"is no model repository \(No such file or directory\)"):
        find(root / "none")
    (root / "empty").mkdir()
    with pytest.raises(UnknownModel, match="has none"):
        find(root / "empty")


def test_a_folder_is_a_version_a_model_or_a_repository(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    BINARY.publish(root)
    assert [stored.path for stored in versions_at(root / "toy" / "3")] == [root / "toy" / "3"]
    assert [stored.version for stored in versions_at(root / "toy")] == [str(number) for number in range(10, 0, -1)]
    assert {stored.name for stored in versions_at(root)} == {"binary", "toy"}
    monkeypatch.chdir(root / "binary")
    assert [(stored.name, stored.version) for stored in versions_at(Path())] == [("binary", "1")]
    for path, reason in ((root / "none", "is no model repository"), (root / "toy" / "none", "is no model repository")):
        with pytest.raises(UnknownModel, match=reason):
            versions_at(path)
    (root / "empty").mkdir()
    with pytest.raises(UnknownModel, match="is no version, no model and no repository"):
        versions_at(root / "empty")
