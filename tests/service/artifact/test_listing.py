"""A look at a repository: versions, what cannot be looked at, and what is no version."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chainzrule.service.artifact.listing import StoredVersion, list_repository, list_versions
from chainzrule.service.errors import ArtifactError
from tests.artifacts import CLASSIFIER
from tests.service.artifact.test_store import configmap


def test_versions_are_listed_newest_first(tmp_path: Path) -> None:
    for version in ("9", "10", "1716400000", "2"):
        (tmp_path / "b" / version).mkdir(parents=True)
    (tmp_path / "a" / "1").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    listing = list_repository(tmp_path)
    assert {name: [one.version for one in found] for name, found in listing.versions.items()} == {
        "a": ["1"],
        "b": ["1716400000", "10", "9", "2"],
        "empty": [],
    }
    assert (listing.unreadable, listing.passed_over, listing.fingerprints) == ({}, {}, {})
    assert [(one.name, one.number) for one in list_versions(tmp_path)][:2] == [("a", 1), ("b", 1716400000)]
    with pytest.raises(FileNotFoundError):
        list_repository(tmp_path / "none")


def test_what_is_no_model_or_version_is_named_with_the_reason(tmp_path: Path) -> None:
    for folder in ("a/0001", "a/v1", "credit risk/1", "c", "a/.publishing-x", ".hidden/1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "c" / "card.json").write_text("{}")
    (tmp_path / "README.md").write_text("no folder")
    (tmp_path / "a" / "2").symlink_to("nowhere")
    (tmp_path / "gone").symlink_to("nowhere")
    passed_over = list_repository(tmp_path).passed_over
    assert set(passed_over) == {"a/0001", "a/v1", "credit risk", "c/card.json", "a/2", "gone"}
    assert "without leading zeros" in passed_over["a/0001"]
    assert "starts with a letter" in passed_over["credit risk"]
    assert "c/1/" in passed_over["c/card.json"]
    assert "not there" in passed_over["gone"]


def test_odd_names_are_named_printably(tmp_path: Path) -> None:
    (tmp_path / "a\nb\x1b é").mkdir()
    (tmp_path / ("x" * 200)).mkdir()
    first, second = sorted(list_repository(tmp_path).passed_over)
    assert first == "a?b? ?"
    assert second == "x" * 64 + "..."


def closed(error: OSError, *names: str) -> Callable[..., os.stat_result]:
    stat = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path.name in names:
            raise error
        return stat(path, **options)

    return refuse


def test_what_cannot_be_looked_at_is_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a/1", "a/2", "b/1"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(Path, "stat", closed(PermissionError(13, "Permission denied"), "2", "b"))
    listing = list_repository(tmp_path)
    assert listing.unreadable == {"a/2": "Permission denied", "b": "Permission denied"}
    # It may be a version, and whoever loads it will see.
    assert [one.version for one in listing.versions["a"]] == ["2", "1"]
    assert "b" not in listing.versions


def test_a_real_folder_without_permission_is_not_gone(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may look anywhere")
    CLASSIFIER.write(tmp_path)
    (tmp_path / "toy").chmod(0)
    try:
        assert list_repository(tmp_path).unreadable == {"toy": "Permission denied"}
    finally:
        (tmp_path / "toy").chmod(0o755)


def test_fingerprints_are_taken_of_those_that_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1", "2", "3"):
        CLASSIFIER.write(tmp_path, version)
    listing = list_repository(tmp_path, {"toy": ["1", "2"]})
    assert [stored.version for stored in listing.fingerprints] == ["2", "1"]
    assert listing.fingerprints == {stored: stored.fingerprint() for stored in listing.versions["toy"][1:]}
    monkeypatch.setattr(Path, "stat", closed(OSError(5, "Input/output error"), "card.json"))
    listing = list_repository(tmp_path, {"toy": ["3"]})
    assert (listing.fingerprints, listing.unreadable) == ({}, {"toy/3": "Input/output error"})


def rewritten(file: Path) -> None:
    file.write_bytes(file.read_bytes())


def replaced(file: Path) -> None:
    """Another file of the same size and times, as `cp -p` leaves one."""
    before = file.stat()
    other = file.with_name("other")
    other.write_bytes(bytes(before.st_size))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(file)


@pytest.mark.parametrize("change", [rewritten, replaced, lambda file: file.chmod(0o600), lambda file: file.unlink()])
def test_a_fingerprint_tells_when_a_file_changes(tmp_path: Path, change: Callable[[Path], None]) -> None:
    stored = StoredVersion("toy", "1", CLASSIFIER.write(tmp_path))
    before = stored.fingerprint()
    assert stored.fingerprint() == before
    change(stored.path / "model.onnx")
    assert stored.fingerprint() != before


def test_a_fingerprint_tells_when_a_configmap_is_swapped(tmp_path: Path) -> None:
    version = configmap(CLASSIFIER.write(tmp_path))
    stored = StoredVersion("toy", "1", version)
    before = stored.fingerprint()
    data = version / "..2026_02"
    data.mkdir()
    for path in (version / "..data").iterdir():
        (data / path.name).write_bytes(bytes(path.stat().st_size))
        os.utime(data / path.name, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    (version / "..new").symlink_to(data.name)
    (version / "..new").rename(version / "..data")
    found = dict(stored.fingerprint())
    for name, facts in before:
        assert name.startswith("..") or found[name] != facts, name


def test_a_fingerprint_of_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        StoredVersion("toy", "9", tmp_path / "absent").fingerprint()


@pytest.mark.parametrize(("name", "version"), [("other", "1"), ("toy", "2")])
def test_a_version_that_is_not_its_folders_is_refused(tmp_path: Path, name: str, version: str) -> None:
    path = CLASSIFIER.write(tmp_path)
    assert StoredVersion("toy", "1", path).read().card == CLASSIFIER.card()
    with pytest.raises(ArtifactError, match="not those of its directory") as caught:
        StoredVersion(name, version, path).read()
    assert caught.value.place == "card.json"
