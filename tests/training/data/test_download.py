"""Files from mirrors: real HTTP on the loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chainzrule.training.data.download import cache_folder, download
from chainzrule.training.data.errors import DataError
from tests.training.data.mirrors import Mirror

CONTENT = b"sound" * 50_000


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    mirror = Mirror()
    mirror.put("sound", "file", CONTENT)
    mirror.put("cut", "file", CONTENT[:1000], len(CONTENT))
    mirror.put("other", "file", b"<html>sign in</html>")
    yield mirror
    mirror.close()


def sound(path: Path) -> None:
    if path.read_bytes() != CONTENT:
        raise DataError("not the expected content")


def test_a_sound_file_is_checked_before_it_appears(mirror: Mirror, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    seen = []

    def check(path: Path) -> None:
        seen.append((path.read_bytes() == CONTENT, (folder / "file").exists()))

    assert download("file", [mirror.url("sound")], folder, check, len(CONTENT)) == folder / "file"
    assert seen == [(True, False)]
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert (folder / "file").read_bytes() == CONTENT


def test_mirrors_are_tried_in_their_order_until_one_is_sound(mirror: Mirror, tmp_path: Path) -> None:
    mirrors = ["http://127.0.0.1:9/", *map(mirror.url, ("gone", "cut", "other", "sound", "never"))]
    assert download("file", mirrors, tmp_path, sound, 10**6).read_bytes() == CONTENT
    assert mirror.asked == ["/gone/file", "/cut/file", "/other/file", "/sound/file"]


def test_what_each_mirror_did_is_told_and_nothing_is_kept(mirror: Mirror, tmp_path: Path) -> None:
    mirrors = list(map(mirror.url, ("gone", "cut", "other")))
    with pytest.raises(DataError) as caught:
        download("file", mirrors, tmp_path, sound, 10**6)
    for mirror_url, what in zip(
        mirrors, ("404", f"cut short: 1000 of {len(CONTENT)}", "not the expected"), strict=True
    ):
        assert f"{mirror_url}file: " in str(caught.value)
        assert what in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="no mirror is given"):
        download("file", [], tmp_path, sound, 10**6)


@pytest.mark.parametrize("spare", [0, -1])
def test_an_answer_may_not_be_longer_than_allowed(mirror: Mirror, tmp_path: Path, spare: int) -> None:
    if spare < 0:
        with pytest.raises(DataError, match=f"longer than the {len(CONTENT) - 1} bytes"):
            download("file", [mirror.url("sound")], tmp_path, sound, len(CONTENT) + spare)
    else:
        download("file", [mirror.url("sound")], tmp_path, sound, len(CONTENT))


def test_a_sound_file_replaces_what_lay_there(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    download("file", [mirror.url("sound")], tmp_path, sound, 10**6)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_named(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="file: cannot be written"):
        download("name", [mirror.url("sound")], tmp_path / "file", sound, 10**6)


def test_the_cache_folder_follows_the_xdg_specification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("mnist") == tmp_path / "chainzrule" / "mnist"
    for value in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder("mnist") == Path.home() / ".cache" / "chainzrule" / "mnist"
