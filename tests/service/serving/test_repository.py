"""The repository is followed while requests go on, whatever becomes of it."""

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chainzrule.service.artifact.listing import Listing, StoredVersion
from chainzrule.service.errors import ArtifactError, InvalidInput, NotReady, UnknownModel, UnknownVersion
from chainzrule.service.serving import backoff
from chainzrule.service.serving.catalog import Catalog, State
from chainzrule.service.serving.repository import Repository

pytestmark = pytest.mark.anyio


class Disk:
    """A repository of directories, and a loader that obeys what their one file says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.loaded: list[str] = []
        self.retired: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def put(self, name: str, version: str, content: str = "ok") -> Path:
        home = self.root / name / version
        home.mkdir(parents=True, exist_ok=True)
        (home / "file").write_text(content)
        return home

    def remove(self, name: str, version: str | None = None) -> None:
        shutil.rmtree(self.root / name / (version or ""))

    async def examine(self, stored: StoredVersion) -> str:
        key = f"{stored.name}/{stored.version}"
        self.loaded.append(key)
        await self.gate.wait()
        content = (stored.path / "file").read_text()
        if content == "hangs":
            await asyncio.Event().wait()
        if content == "damaged":
            raise ArtifactError("is damaged", "model.onnx")
        return content

    async def load(self, stored: StoredVersion, digest: str) -> str:
        if digest == "crash":
            raise RuntimeError("s3cret")
        return f"{stored.name}/{stored.version} {digest}"

    def followed(
        self, keep: int = 2, required: tuple[str, ...] = (), patience: float = 60.0
    ) -> tuple[Catalog[str], Repository[str]]:
        catalog: Catalog[str] = Catalog(None, required, self.retired.append)
        return catalog, Repository(self.root, catalog, self.examine, self.load, keep, patience)


async def until(condition: Callable[[], bool], repository: Repository[str]) -> None:
    """Lets the repository be looked at until a condition holds."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        await repository.look()
        await asyncio.sleep(0.01)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def states(catalog: Catalog[str]) -> dict[str, dict[str, str]]:
    return {name: {version: str(e.state) for version, e in entries.items()} for name, entries in catalog.models()}


async def test_what_is_there_is_loaded_newest_first(disk: Disk) -> None:
    for version in ("9", "10", "2"):
        disk.put("a", version)
    catalog, repository = disk.followed()
    assert not catalog.ready()
    await repository.refresh()
    assert sorted(disk.loaded) == ["a/10", "a/9"]  # as numbers; the third is not kept
    assert states(catalog) == {"a": {"10": "READY", "9": "READY"}}
    assert catalog.resolve("a", None) == "a/10 ok"
    assert catalog.resolve("a", "9") == "a/9 ok"
    assert catalog.ready()


async def test_other_entries_are_passed_over_and_named_once(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    disk.put("a", "1")
    for version in ("0", "01", "v2", "1.0", ".publishing-x", "-1", "1 ", "9" * 19, "٣"):
        disk.put("a", version)
    disk.put(".hidden", "1")
    disk.put("-dash", "1")
    (disk.root / "README.md").write_text("")
    (disk.root / "a" / "7").write_text("a file")
    (disk.root / "empty").mkdir()
    (disk.root / "dangling").symlink_to(disk.root / "nowhere")
    disk.put("b", "1716400000")  # a Unix time
    catalog, repository = disk.followed()
    for _ in range(2):
        await repository.refresh()
        assert states(catalog) == {"a": {"1": "READY"}, "b": {"1716400000": "READY"}}
    said = [record.place for record in caplog.records if "passed over" in record.message]  # type: ignore[attr-defined]
    assert sorted(said) == sorted(
        ["-dash", "dangling", *(f"a/{version}" for version in ("0", "01", "v2", "1.0", "-1", "1 ", "9" * 19, "?"))]
    )


async def test_a_new_version_takes_over_only_once_it_is_ready(disk: Disk) -> None:
    disk.put("a", "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    disk.put("a", "2")
    disk.gate.clear()
    refreshing = asyncio.create_task(repository.refresh())
    while len(disk.loaded) < 2:
        await asyncio.sleep(0.001)
    assert states(catalog) == {"a": {"2": "LOADING", "1": "READY"}}
    assert list(catalog.entries("a")) == ["2", "1"]
    assert catalog.resolve("a", None) == "a/1 ok"
    assert catalog.ready()
    with pytest.raises(NotReady, match="LOADING"):
        catalog.resolve("a", "2")
    disk.gate.set()
    await refreshing
    assert catalog.resolve("a", None) == "a/2 ok"
    assert catalog.resolve("a", "1") == "a/1 ok"


async def test_superseded_versions_go(disk: Disk) -> None:
    catalog, repository = disk.followed(keep=2)
    for version in ("1", "2", "3"):
        disk.put("a", version)
        await repository.refresh()
    assert states(catalog) == {"a": {"3": "READY", "2": "READY"}}
    with pytest.raises(UnknownVersion):
        catalog.resolve("a", "1")
    assert disk.loaded == ["a/1", "a/2", "a/3"]  # none of them twice
    await repository.refresh()
    assert len(disk.loaded) == 3


async def test_a_failed_version_keeps_the_older_in_service(disk: Disk) -> None:
    disk.put("a", "1")
    disk.put("a", "2", "damaged")
    disk.put("b", "1")
    catalog, repository = disk.followed(keep=1)
    await repository.refresh()
    assert states(catalog) == {"a": {"2": "FAILED", "1": "READY"}, "b": {"1": "READY"}}
    assert catalog.resolve("a", None) == "a/1 ok"
    assert catalog.ready()
    assert catalog.entries("a")["2"].reason == "model.onnx: is damaged"
    with pytest.raises(NotReady, match="FAILED"):
        catalog.resolve("a", "2")


async def test_a_failed_version_is_tried_again_when_its_files_change(disk: Disk) -> None:
    disk.put("a", "1", "damaged")
    catalog, repository = disk.followed()
    await repository.refresh()
    await repository.look()
    assert disk.loaded == ["a/1"]  # not at once again
    assert not catalog.ready()
    with pytest.raises(NotReady):
        catalog.resolve("a", None)
    disk.put("a", "1", "mended")
    await repository.refresh()
    assert disk.loaded == ["a/1", "a/1"]
    assert catalog.resolve("a", None) == "a/1 mended"


async def test_changed_files_of_a_ready_version_take_over_once_they_are_ready(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.put("a", "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    disk.remove("a", "1")
    disk.put("a", "1", "another")
    disk.gate.clear()
    refreshing = asyncio.create_task(repository.refresh())
    while len(disk.loaded) < 2:
        await asyncio.sleep(0.001)
    assert states(catalog) == {"a": {"1": "READY"}}
    assert catalog.resolve("a", "1") == "a/1 ok"
    disk.gate.set()
    await refreshing
    assert catalog.resolve("a", "1") == "a/1 another"
    assert [record.levelname for record in caplog.records if "changed on disk" in record.message] == ["WARNING"]
    await repository.refresh()
    assert disk.loaded == ["a/1", "a/1"]
    assert disk.retired == []  # the version is still served


@pytest.mark.parametrize(
    ("content", "reason"), [("damaged", "model.onnx: is damaged"), ("crash", "unexpected RuntimeError")]
)
async def test_changed_files_that_cannot_be_loaded_leave_what_was_loaded(disk: Disk, content: str, reason: str) -> None:
    disk.put("a", "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    disk.put("a", "1", content)
    await until(lambda: bool(catalog.entries("a")["1"].reason), repository)
    await repository.look()
    assert disk.loaded == ["a/1", "a/1"]  # not again while the files stay as they are
    assert catalog.ready()
    assert catalog.resolve("a", None) == "a/1 ok"
    entry = catalog.entries("a")["1"]
    assert entry.state is State.READY
    assert reason in entry.reason
    disk.put("a", "1", "mended")
    await repository.refresh()
    assert catalog.resolve("a", None) == "a/1 mended"
    assert catalog.entries("a")["1"].reason == ""


async def test_files_replaced_by_others_of_the_same_size_are_noticed(disk: Disk) -> None:
    home = disk.put("a", "1", "first")
    catalog, repository = disk.followed()
    await repository.refresh()
    written = (home / "file").stat().st_mtime_ns
    disk.put("a", "1", "other")
    os.utime(home / "file", ns=(written + 1, written + 1))
    await repository.refresh()
    assert catalog.resolve("a", None) == "a/1 other"


async def test_what_is_no_longer_served_is_told(disk: Disk) -> None:
    _catalog, repository = disk.followed(keep=1)
    disk.put("a", "1")
    disk.put("b", "1")
    disk.put("c", "1", "damaged")
    await repository.refresh()
    disk.put("a", "2")
    await repository.refresh()
    assert disk.retired == ["a/1 ok"]
    disk.remove("b")
    disk.remove("c")
    await repository.refresh()
    assert disk.retired == ["a/1 ok", "b/1 ok"]
    repository.unload("a")
    assert disk.retired == ["a/1 ok", "b/1 ok", "a/2 ok"]


async def test_an_accident_fails_the_version_without_telling_its_text(disk: Disk) -> None:
    disk.put("a", "1", "crash")
    disk.put("b", "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    assert states(catalog) == {"a": {"1": "FAILED"}, "b": {"1": "READY"}}
    assert catalog.entries("a")["1"].reason == "unexpected RuntimeError; see the log"


async def test_a_removed_version_and_a_removed_model_go(disk: Disk) -> None:
    for version in ("1", "2"):
        disk.put("a", version)
    disk.put("b", "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    disk.remove("a", "2")
    disk.remove("b")
    await repository.refresh()
    assert states(catalog) == {"a": {"1": "READY"}}
    assert catalog.resolve("a", None) == "a/1 ok"
    with pytest.raises(UnknownModel):
        catalog.resolve("b", None)
    disk.remove("a")
    disk.put("c", "1")
    await repository.refresh()
    assert states(catalog) == {"c": {"1": "READY"}}


@pytest.mark.parametrize("emptied", ["repository", "model"])
async def test_an_emptied_repository_is_not_believed(
    disk: Disk, emptied: str, caplog: pytest.LogCaptureFixture
) -> None:
    disk.put("a", "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    moved = (disk.root / "a").rename(disk.root.with_name("elsewhere"))
    if emptied == "model":
        (disk.root / "a").mkdir()
    for _ in range(2):
        await repository.refresh()
        assert catalog.resolve("a", None) == "a/1 ok"
        assert catalog.ready()
        assert repository.notices.unreadable == {".": "it is empty, though models were served from it"}
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    if emptied == "model":
        (disk.root / "a").rmdir()
    moved.rename(disk.root / "a")
    await repository.refresh()
    assert repository.notices.unreadable == {}
    assert disk.loaded == ["a/1"]


async def test_an_older_version_steps_in_when_the_newest_is_removed(disk: Disk) -> None:
    for version in ("1", "2", "3"):
        disk.put("a", version)
    catalog, repository = disk.followed(keep=1)
    await repository.refresh()
    disk.remove("a", "3")
    await repository.refresh()
    assert states(catalog) == {"a": {"2": "READY"}}


async def test_an_unreadable_repository_leaves_what_is_loaded(disk: Disk) -> None:
    disk.put("a", "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    moved = disk.root.rename(disk.root.with_name("elsewhere"))
    await repository.refresh()
    assert repository.notices.unreadable == {".": "No such file or directory"}
    with pytest.raises(OSError, match="No such file"):
        await repository.load("a")
    assert catalog.resolve("a", None) == "a/1 ok"
    assert catalog.ready()
    moved.rename(disk.root)
    await repository.refresh()
    assert disk.loaded == ["a/1"]


async def test_a_model_that_goes_while_it_is_listed(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.put("a", "1")
    disk.put("b", "1")
    listed = Path.iterdir

    def iterdir(path: Path) -> object:
        if path.name == "a":
            disk.remove("a")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    catalog, repository = disk.followed()
    await repository.refresh()
    assert states(catalog) == {"b": {"1": "READY"}}


async def test_two_looks_at_once_load_once(disk: Disk) -> None:
    disk.put("a", "1")
    _catalog, repository = disk.followed()
    await asyncio.gather(*(repository.refresh() for _ in range(5)))
    assert disk.loaded == ["a/1"]


async def test_a_model_is_unloaded_until_it_is_loaded_again(disk: Disk) -> None:
    disk.put("a", "1")
    disk.put("b", "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    for _ in range(2):  # once more changes nothing
        repository.unload("a")
        await repository.refresh()
        assert states(catalog) == {"b": {"1": "READY"}}
        assert catalog.unloaded() == ["a"]
        with pytest.raises(NotReady, match="unloaded"):
            catalog.resolve("a", None)
    assert catalog.default() is None  # another does not answer in its place
    await repository.load("a")
    assert catalog.resolve("a", None) == "a/1 ok"
    assert catalog.unloaded() == []
    assert sorted(disk.loaded[:2]) == ["a/1", "b/1"]  # two are loaded at once, in any order
    assert disk.loaded[2:] == ["a/1"]
    with pytest.raises(UnknownModel):
        repository.unload("c")
    assert catalog.unloaded() == []


async def test_loading_tries_failed_versions_again_and_says_why_none_can_be(disk: Disk) -> None:
    disk.put("a", "1", "damaged")
    disk.put("b", "1", "damaged")
    disk.put("b", "2")
    _catalog, repository = disk.followed()
    await repository.refresh()
    with pytest.raises(InvalidInput, match=r"model: could not be loaded: model\.onnx: is damaged"):
        await repository.load("a")
    assert disk.loaded.count("a/1") == 2
    await repository.load("b")  # one of its versions is READY
    assert disk.loaded.count("b/1") == 2
    assert disk.loaded.count("b/2") == 1
    with pytest.raises(UnknownModel):
        await repository.load("c")


async def test_what_hangs_is_waited_for_by_nobody(disk: Disk) -> None:
    disk.put("a", "1")
    disk.put("a", "2", "hangs")
    disk.put("b", "1")
    for name in ("hang", "hang-too"):
        disk.put(name, "1", "hangs")
    catalog, repository = disk.followed(keep=1, patience=0.05)
    await repository.look()
    assert not catalog.ready()
    await asyncio.wait_for(catalog.started.wait(), 30)
    assert catalog.ready()
    assert states(catalog) == {
        "a": {"2": "LOADING", "1": "READY"},
        "b": {"1": "READY"},
        "hang": {"1": "LOADING"},
        "hang-too": {"1": "LOADING"},
    }
    assert "more than 0.05 s" in catalog.entries("hang")["1"].reason
    # Others come, change and go meanwhile.
    disk.put("c", "1")
    disk.put("b", "1", "other")
    disk.remove("hang")
    await until(lambda: "c" in dict(catalog.models()) and catalog.ready(), repository)
    await until(lambda: catalog.resolve("b", None) == "b/1 other", repository)
    assert "hang" not in dict(catalog.models())
    repository.unload("hang-too")
    disk.put("a", "2", "mended")
    await repository.close()
    assert not [task for task in asyncio.all_tasks() if "_bring_up" in repr(task)]


async def test_a_failed_version_is_tried_again_by_itself(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backoff, "FIRST", 0.01)
    disk.put("a", "1")
    healed = asyncio.Event()
    examine = disk.examine

    async def short_of_memory(stored: StoredVersion) -> str:
        digest = await examine(stored)
        if not healed.is_set():
            raise MemoryError
        return digest

    monkeypatch.setattr(disk, "examine", short_of_memory)
    catalog, repository = disk.followed()
    await until(lambda: len(disk.loaded) >= 3, repository)
    assert catalog.entries("a")["1"].state is State.FAILED
    healed.set()
    await until(catalog.ready, repository)
    refused = [record for record in caplog.records if record.message.startswith("model version refused")]
    assert len(refused) == 1  # the same reason is said once


async def test_one_that_cannot_be_looked_at_stays_as_it_is(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        disk.put(name, "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    listed = Path.iterdir

    def iterdir(path: Path) -> object:
        if path.name == "a" or path.parent.name == "b":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", iterdir)
        disk.put("c", "1")
        await repository.refresh()
    assert states(catalog) == {name: {"1": "READY"} for name in ("a", "b", "c")}
    assert repository.notices.unreadable == {"a": "Permission denied", "b/1": "Permission denied"}
    await repository.refresh()
    assert repository.notices.unreadable == {}
    assert sorted(disk.loaded) == ["a/1", "b/1", "c/1"]


async def test_an_unloaded_model_that_cannot_be_looked_at_stays_unloaded(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.put("a", "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    repository.unload("a")
    listed = Path.iterdir

    def iterdir(path: Path) -> object:
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", iterdir)
        await repository.refresh()
    assert catalog.unloaded() == ["a"]
    assert states(catalog) == {}
    assert disk.loaded == ["a/1"]


async def test_a_look_that_hangs_is_no_end_of_looking(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainzrule.service.serving.repository.LOOK_SECONDS", 0.05)
    disk.put("a", "1")
    catalog, repository = disk.followed()
    await repository.refresh()
    gate = threading.Event()
    listed = Path.iterdir

    def iterdir(path: Path) -> object:
        gate.wait(30)
        return listed(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", iterdir)
        for _ in range(2):
            await repository.look()
            assert "takes longer than" in repository.notices.unreadable["."]
        assert catalog.ready()
        gate.set()
        await until(lambda: not repository.notices.unreadable, repository)


@pytest.mark.parametrize("turns", range(8))
async def test_who_follows_ends_however_close_a_look_is_to_its_end(
    disk: Disk, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service could not be stopped where it was told to at the moment at which a look came back."""
    listed: asyncio.Future[Listing] = asyncio.get_running_loop().create_future()

    async def in_background(*_: object) -> Listing:
        return await listed

    monkeypatch.setattr("chainzrule.service.serving.repository.in_background", in_background)
    _, repository = disk.followed()
    following = asyncio.create_task(repository.follow(0.01))
    for _ in range(5):
        await asyncio.sleep(0)
    listed.set_result(Listing())
    for _ in range(turns):
        await asyncio.sleep(0)
    following.cancel()
    await asyncio.wait({following}, timeout=10)
    assert following.cancelled()


async def test_a_look_that_hangs_ends_with_the_repository(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging, go_on = threading.Event(), threading.Event()

    def list_slowly(*_: object) -> Listing:
        hanging.set()
        go_on.wait(60)
        return Listing()

    monkeypatch.setattr("chainzrule.service.serving.repository.list_repository", list_slowly)
    _, repository = disk.followed()
    before = asyncio.all_tasks()
    follower = asyncio.create_task(repository.follow(0.01))
    try:
        while not hanging.is_set():
            await asyncio.sleep(0.01)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        await repository.close()
        assert asyncio.all_tasks() - before == set()
    finally:
        go_on.set()
