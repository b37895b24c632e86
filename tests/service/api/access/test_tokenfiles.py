"""Token files are followed: what is withdrawn ends, what cannot be read changes nothing, and nothing opens the door."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chainzrule.service.api.access import tokenfiles
from chainzrule.service.api.access.scopes import OBSERVE, PREDICT
from chainzrule.service.api.access.tokenfiles import TokenFiles
from chainzrule.service.api.access.tokens import digest_of, line_of
from chainzrule.service.errors import ServiceError

pytestmark = pytest.mark.anyio
CLINIC, SHOP = line_of("clinic-token", "clinic", PREDICT), line_of("shop-token", "shop", OBSERVE)


def names(files: TokenFiles) -> set[str]:
    return {token.name for token in files.tokens.values()}


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The reasons of the errors so far."""
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    return [getattr(record, "reason", record.getMessage()) for record in records]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(f"{CLINIC}\n{SHOP}\n")
    return file


async def test_a_withdrawn_token_ends_and_a_new_one_begins(file: Path) -> None:
    files = TokenFiles(file)
    assert names(files) == {"clinic", "shop"}
    file.write_text(f"{SHOP}\n{line_of('new', 'new', PREDICT)}\n")
    await files.look()
    assert files.tokens.keys() == {digest_of(b"shop-token"), digest_of(b"new")}


async def test_it_is_followed_by_itself(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenfiles, "LOOK_SECONDS", 0.01)
    files = TokenFiles(file)
    async with following(files):
        file.write_text(SHOP)
        await until(files, {"shop"})
        replacement = file.with_name("replacement")
        replacement.write_text(CLINIC)
        replacement.rename(file)
        await until(files, {"clinic"})


@contextlib.asynccontextmanager
async def following(files: TokenFiles) -> AsyncIterator[None]:
    task = asyncio.create_task(files.follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(files: TokenFiles, wanted: set[str]) -> None:
    for _ in range(2000):
        if names(files) == wanted:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(names(files))


async def test_a_file_that_is_being_written_is_left_until_it_rests(file: Path) -> None:
    files = TokenFiles(file)
    file.write_text("")
    await files.look(settled=True)
    assert names(files) == {"clinic", "shop"}
    file.write_text(f"{SHOP}\n")
    await files.look(settled=True)
    assert names(files) == {"clinic", "shop"}
    await files.look(settled=True)
    assert names(files) == {"shop"}


async def test_a_file_that_lists_nothing_any_more_lets_nobody_in(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = TokenFiles(file)
    file.write_text("# nobody\n")
    await files.look()
    assert files.tokens == {}
    assert said(caplog) == ["no token is listed any more, so nobody is let in"]


async def test_a_file_that_is_gone_or_unreadable_changes_nothing(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = TokenFiles(file)
    moved = file.rename(file.with_name("moved"))
    for _ in range(3):
        await files.look()
        assert names(files) == {"clinic", "shop"}
    assert said(caplog) == ["cannot be read (No such file or directory)"]  # once
    moved.write_text(SHOP)
    moved.rename(file)
    await files.look()
    assert names(files) == {"shop"}
    file.unlink()
    await files.look()
    assert names(files) == {"shop"}
    assert len(said(caplog)) == 2


async def test_a_file_that_is_much_too_large_is_not_read(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = TokenFiles(file)
    with file.open("wb") as opened:
        opened.truncate(2**30)
    await files.look()
    assert names(files) == {"clinic", "shop"}
    assert said(caplog) == ["cannot be read (it has over 1048576 bytes)"]
    with pytest.raises(ServiceError, match=r"--token-file: the file cannot be read \(it has over"):
        TokenFiles(file)


async def test_a_fault_is_told_without_the_line_and_the_other_lines_hold(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = TokenFiles(file)
    file.write_text(f"{SHOP}\ns3cret s3cret\n")
    for _ in range(2):
        await files.look()
        assert names(files) == {"shop"}
    assert said(caplog) == ["line 2 is not sha256:HEX SCOPE[,SCOPE] NAME"]
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "the file is empty"), ("a b", "line 1 is not sha256:"), (f"{CLINIC}\nx", "line 2 is not")],
)
def test_a_start_with_a_fault_is_refused(file: Path, content: str, reason: str) -> None:
    file.write_text(content)
    with pytest.raises(ServiceError, match=f"^--token-file: {reason}"):
        TokenFiles(file)


# Folders.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tokens.d"
    folder.mkdir()
    (folder / "clinic").write_text(CLINIC)
    (folder / "shop").write_text(SHOP)
    (folder / ".hidden").write_text(line_of("hidden", "hidden", PREDICT))
    (folder / "below").mkdir()
    return folder


async def test_the_files_of_a_folder_come_and_go(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = TokenFiles(folder)
    assert names(files) == {"clinic", "shop"}
    (folder / "clinic").unlink()
    (folder / "plain").write_text("plain-token")
    await files.look()
    assert files.tokens.keys() == {digest_of(b"shop-token"), digest_of(b"plain-token")}
    assert names(files) == {"shop", "plain"}
    for path in ("shop", "plain"):
        (folder / path).unlink()
    await files.look()
    assert files.tokens == {}
    assert said(caplog) == ["no token is listed any more, so nobody is let in"]


async def test_a_fault_in_one_file_touches_no_other(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = TokenFiles(folder)
    (folder / "clinic").unlink()
    (folder / "clinic").write_bytes(b"x" * 2**21)
    (folder / "shop").write_text(line_of("other", "other", PREDICT))
    await files.look()
    assert names(files) == {"clinic", "other"}  # what the file listed last stays valid
    assert said(caplog) == ["clinic: cannot be read (it has over 1048576 bytes)"]


async def test_a_folder_that_is_gone_changes_nothing_and_an_empty_one_is_no_start(folder: Path, tmp_path: Path) -> None:
    files = TokenFiles(folder)
    folder.rename(tmp_path / "moved")
    await files.look()
    assert names(files) == {"clinic", "shop"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(ServiceError, match="--token-file: the folder lists no token"):
        TokenFiles(tmp_path / "empty")


async def test_a_mounted_secret_is_swapped_at_once(tmp_path: Path) -> None:
    """Kubernetes puts a new folder in the old one's place by renaming a link; sizes and times may be the same."""
    mount = tmp_path / "secret"
    for number, line in enumerate((line_of("one", "one", PREDICT), line_of("two", "two", PREDICT))):
        version = mount / f"..{number}"
        version.mkdir(parents=True)
        (version / "tokens").write_text(line)
        os.utime(version / "tokens", (0, 0))
    (mount / "..data").symlink_to("..0")
    (mount / "tokens").symlink_to("..data/tokens")
    by_file, by_folder = TokenFiles(mount / "tokens"), TokenFiles(mount)
    assert names(by_file) == names(by_folder) == {"one"}
    (mount / "..next").symlink_to("..1")
    (mount / "..next").rename(mount / "..data")
    for files in (by_file, by_folder):
        await files.look()
        assert names(files) == {"two"}


async def test_what_a_shell_pipes_in_is_read_once() -> None:
    reading, writing = os.pipe()
    os.write(writing, CLINIC.encode())
    os.close(writing)
    try:
        files = TokenFiles(Path(f"/dev/fd/{reading}"))
        await asyncio.wait_for(files.look(), 10)
        assert names(files) == {"clinic"}
    finally:
        os.close(reading)
