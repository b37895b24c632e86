"""The catalog follows the repository while requests go on."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from chainzrule.service.artifact.store import StoredVersion
from chainzrule.service.errors import ArtifactError, InvalidInput, NotReady, UnknownModel, UnknownVersion
from chainzrule.service.serving.catalog import Catalog, State

pytestmark = pytest.mark.anyio


class Repository:
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

    async def load(self, stored: StoredVersion) -> str:
        key = f"{stored.name}/{stored.version}"
        self.loaded.append(key)
        await self.gate.wait()
        content = (stored.path / "file").read_text()
        if content == "damaged":
            raise ArtifactError("is damaged", "model.onnx")
        if content == "crash":
            raise RuntimeError("s3cret")
        return f"{key} {content}"

    def catalog(self, keep: int = 2, default: str | None = None, required: tuple[str, ...] = ()) -> Catalog[str]:
        return Catalog(self.root, self.load, keep, default, required, self.retired.append)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def states(catalog: Catalog[str]) -> dict[str, dict[str, str]]:
    return {name: {version: str(e.state) for version, e in entries.items()} for name, entries in catalog.models()}


async def test_what_is_there_is_loaded_newest_first(repository: Repository) -> None:
    for version in ("9", "10", "2"):
        repository.put("a", version)
    catalog = repository.catalog()
    assert not catalog.ready()
    await catalog.refresh()
    assert repository.loaded == ["a/10", "a/9"]  # as numbers; the third is not kept
    assert states(catalog) == {"a": {"10": "READY", "9": "READY"}}
    assert catalog.resolve("a", None) == "a/10 ok"
    assert catalog.resolve("a", "9") == "a/9 ok"
    assert catalog.ready()


async def test_other_entries_are_passed_over(repository: Repository) -> None:
    repository.put("a", "1")
    for version in ("0", "01", "v2", "1.0", ".publishing-x", "-1", "1 ", "9999999999", "٣"):
        repository.put("a", version)
    repository.put(".hidden", "1")
    repository.put("-dash", "1")
    (repository.root / "README.md").write_text("")
    (repository.root / "a" / "7").write_text("a file")
    (repository.root / "empty").mkdir()
    (repository.root / "dangling").symlink_to(repository.root / "nowhere")
    catalog = repository.catalog()
    await catalog.refresh()
    assert states(catalog) == {"a": {"1": "READY"}}


async def test_a_new_version_takes_over_only_once_it_is_ready(repository: Repository) -> None:
    repository.put("a", "1")
    catalog = repository.catalog()
    await catalog.refresh()
    repository.put("a", "2")
    repository.gate.clear()
    refreshing = asyncio.create_task(catalog.refresh())
    while len(repository.loaded) < 2:
        await asyncio.sleep(0.001)
    assert states(catalog) == {"a": {"2": "LOADING", "1": "READY"}}
    assert list(catalog.entries("a")) == ["2", "1"]
    assert catalog.resolve("a", None) == "a/1 ok"
    assert catalog.ready()
    with pytest.raises(NotReady, match="LOADING"):
        catalog.resolve("a", "2")
    repository.gate.set()
    await refreshing
    assert catalog.resolve("a", None) == "a/2 ok"
    assert catalog.resolve("a", "1") == "a/1 ok"


async def test_superseded_versions_go(repository: Repository) -> None:
    catalog = repository.catalog(keep=2)
    for version in ("1", "2", "3"):
        repository.put("a", version)
        await catalog.refresh()
    assert states(catalog) == {"a": {"3": "READY", "2": "READY"}}
    with pytest.raises(UnknownVersion):
        catalog.resolve("a", "1")
    assert repository.loaded == ["a/1", "a/2", "a/3"]  # none of them twice
    await catalog.refresh()
    assert len(repository.loaded) == 3


async def test_a_failed_version_keeps_the_older_in_service(repository: Repository) -> None:
    repository.put("a", "1")
    repository.put("a", "2", "damaged")
    repository.put("b", "1")
    catalog = repository.catalog(keep=1)
    await catalog.refresh()
    assert states(catalog) == {"a": {"2": "FAILED", "1": "READY"}, "b": {"1": "READY"}}
    assert catalog.resolve("a", None) == "a/1 ok"
    assert catalog.ready()
    assert catalog.entries("a")["2"].reason == "model.onnx: is damaged"
    with pytest.raises(NotReady, match="FAILED"):
        catalog.resolve("a", "2")


async def test_a_failed_version_is_tried_again_when_its_files_change(repository: Repository) -> None:
    repository.put("a", "1", "damaged")
    catalog = repository.catalog()
    await catalog.refresh()
    await catalog.refresh()
    assert repository.loaded == ["a/1"]
    assert not catalog.ready()
    assert catalog.unready() == ["a"]
    with pytest.raises(NotReady):
        catalog.resolve("a", None)
    repository.put("a", "1", "mended")
    await catalog.refresh()
    assert repository.loaded == ["a/1", "a/1"]
    assert catalog.resolve("a", None) == "a/1 mended"


async def test_changed_files_of_a_ready_version_take_over_once_they_are_ready(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    repository.put("a", "1")
    catalog = repository.catalog()
    await catalog.refresh()
    repository.remove("a", "1")
    repository.put("a", "1", "another")
    repository.gate.clear()
    refreshing = asyncio.create_task(catalog.refresh())
    while len(repository.loaded) < 2:
        await asyncio.sleep(0.001)
    assert states(catalog) == {"a": {"1": "READY"}}
    assert catalog.resolve("a", "1") == "a/1 ok"
    repository.gate.set()
    await refreshing
    assert catalog.resolve("a", "1") == "a/1 another"
    assert [record.levelname for record in caplog.records if "changed on disk" in record.message] == ["WARNING"]
    await catalog.refresh()
    assert repository.loaded == ["a/1", "a/1"]
    assert repository.retired == []  # the version is still served


@pytest.mark.parametrize(
    ("content", "reason"), [("damaged", "model.onnx: is damaged"), ("crash", "unexpected RuntimeError")]
)
async def test_changed_files_that_cannot_be_loaded_leave_what_was_loaded(
    repository: Repository, content: str, reason: str
) -> None:
    repository.put("a", "1")
    catalog = repository.catalog()
    await catalog.refresh()
    repository.put("a", "1", content)
    for _ in range(2):
        await catalog.refresh()
    assert repository.loaded == ["a/1", "a/1"]  # not again while the files stay as they are
    assert catalog.ready()
    assert catalog.resolve("a", None) == "a/1 ok"
    entry = catalog.entries("a")["1"]
    assert entry.state is State.READY
    assert reason in entry.reason
    repository.put("a", "1", "mended")
    await catalog.refresh()
    assert catalog.resolve("a", None) == "a/1 mended"
    assert catalog.entries("a")["1"].reason == ""


async def test_files_replaced_by_others_of_the_same_size_are_noticed(repository: Repository) -> None:
    home = repository.put("a", "1", "first")
    catalog = repository.catalog()
    await catalog.refresh()
    written = (home / "file").stat().st_mtime_ns
    repository.put("a", "1", "other")
    os.utime(home / "file", ns=(written + 1, written + 1))
    await catalog.refresh()
    assert catalog.resolve("a", None) == "a/1 other"


async def test_what_is_no_longer_served_is_told(repository: Repository) -> None:
    catalog = repository.catalog(keep=1)
    repository.put("a", "1")
    repository.put("b", "1")
    repository.put("c", "1", "damaged")
    await catalog.refresh()
    repository.put("a", "2")
    await catalog.refresh()
    assert repository.retired == ["a/1 ok"]
    repository.remove("b")
    repository.remove("c")
    await catalog.refresh()
    assert repository.retired == ["a/1 ok", "b/1 ok"]
    await catalog.unload("a")
    assert repository.retired == ["a/1 ok", "b/1 ok", "a/2 ok"]


async def test_an_accident_fails_the_version_without_telling_its_text(repository: Repository) -> None:
    repository.put("a", "1", "crash")
    repository.put("b", "1")
    catalog = repository.catalog()
    await catalog.refresh()
    assert states(catalog) == {"a": {"1": "FAILED"}, "b": {"1": "READY"}}
    assert catalog.entries("a")["1"].reason == "unexpected RuntimeError; see the log"


async def test_a_removed_version_and_a_removed_model_go(repository: Repository) -> None:
    for version in ("1", "2"):
        repository.put("a", version)
    repository.put("b", "1")
    catalog = repository.catalog()
    await catalog.refresh()
    repository.remove("a", "2")
    repository.remove("b")
    await catalog.refresh()
    assert states(catalog) == {"a": {"1": "READY"}}
    assert catalog.resolve("a", None) == "a/1 ok"
    with pytest.raises(UnknownModel):
        catalog.resolve("b", None)
    repository.remove("a", "1")
    await catalog.refresh()
    assert states(catalog) == {}
    assert not catalog.ready()


async def test_an_older_version_steps_in_when_the_newest_is_removed(repository: Repository) -> None:
    for version in ("1", "2", "3"):
        repository.put("a", version)
    catalog = repository.catalog(keep=1)
    await catalog.refresh()
    repository.remove("a", "3")
    await catalog.refresh()
    assert states(catalog) == {"a": {"2": "READY"}}


async def test_an_unreadable_repository_leaves_what_is_loaded(repository: Repository) -> None:
    repository.put("a", "1")
    catalog = repository.catalog()
    await catalog.refresh()
    moved = repository.root.rename(repository.root.with_name("elsewhere"))
    with pytest.raises(OSError, match="No such file"):
        await catalog.refresh()
    assert catalog.resolve("a", None) == "a/1 ok"
    assert catalog.ready()
    moved.rename(repository.root)
    await catalog.refresh()
    assert repository.loaded == ["a/1"]


async def test_a_model_that_goes_while_it_is_listed(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.put("a", "1")
    repository.put("b", "1")
    listed = Path.iterdir

    def iterdir(path: Path) -> object:
        if path.name == "a":
            repository.remove("a")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    catalog = repository.catalog()
    await catalog.refresh()
    assert states(catalog) == {"b": {"1": "READY"}}


async def test_two_looks_at_once_load_once(repository: Repository) -> None:
    repository.put("a", "1")
    catalog = repository.catalog()
    await asyncio.gather(*(catalog.refresh() for _ in range(5)))
    assert repository.loaded == ["a/1"]


async def test_the_default_is_the_only_model_or_the_named_one(repository: Repository) -> None:
    repository.put("a", "1")
    catalog, named = repository.catalog(), repository.catalog(default="b")
    await catalog.refresh()
    assert catalog.default() == "a"
    assert catalog.resolve(None, None) == "a/1 ok"
    repository.put("b", "1")
    await catalog.refresh()
    await named.refresh()
    assert catalog.default() is None
    with pytest.raises(InvalidInput) as caught:
        catalog.resolve(None, None)
    assert caught.value.place == "model"
    assert named.resolve(None, "1") == "b/1 ok"


async def test_ready_asks_for_the_required_models(repository: Repository) -> None:
    repository.put("a", "1")
    repository.put("b", "1", "damaged")
    every, some, more = (
        repository.catalog(),
        repository.catalog(required=("a",)),
        repository.catalog(required=("a", "c")),
    )
    for catalog in (every, some, more):
        await catalog.refresh()
    assert (every.ready(), every.unready()) == (False, ["b"])
    assert (some.ready(), some.unready()) == (True, [])
    assert (more.ready(), more.unready()) == (False, ["c"])


async def test_unknown_names_are_refused(repository: Repository) -> None:
    repository.put("a", "1")
    catalog = repository.catalog()
    await catalog.refresh()
    with pytest.raises(UnknownModel):
        catalog.resolve("s3cret", None)
    for version in ("2", "01", "", "1.0", "s3cret"):
        with pytest.raises(UnknownVersion) as caught:
            catalog.resolve("a", version)
        assert "s3cret" not in str(caught.value)


async def test_a_model_is_unloaded_until_it_is_loaded_again(repository: Repository) -> None:
    repository.put("a", "1")
    repository.put("b", "1")
    catalog = repository.catalog()
    await catalog.refresh()
    for _ in range(2):  # once more changes nothing
        await catalog.unload("a")
        await catalog.refresh()
        assert states(catalog) == {"b": {"1": "READY"}}
        assert catalog.unloaded() == ["a"]
        with pytest.raises(NotReady, match="unloaded"):
            catalog.resolve("a", None)
    assert catalog.default() is None  # another does not answer in its place
    await catalog.load("a")
    assert catalog.resolve("a", None) == "a/1 ok"
    assert catalog.unloaded() == []
    assert repository.loaded == ["a/1", "b/1", "a/1"]
    with pytest.raises(UnknownModel):
        await catalog.unload("c")
    assert catalog.unloaded() == []


async def test_loading_tries_failed_versions_again_and_says_why_none_can_be(repository: Repository) -> None:
    repository.put("a", "1", "damaged")
    repository.put("b", "1", "damaged")
    repository.put("b", "2")
    catalog = repository.catalog()
    await catalog.refresh()
    with pytest.raises(InvalidInput, match=r"model: could not be loaded: model\.onnx: is damaged"):
        await catalog.load("a")
    assert repository.loaded.count("a/1") == 2
    await catalog.load("b")  # one of its versions is READY
    assert repository.loaded.count("b/1") == 2
    assert repository.loaded.count("b/2") == 1
    with pytest.raises(UnknownModel):
        await catalog.load("c")


async def test_states_have_their_names() -> None:
    assert [str(state) for state in State] == ["LOADING", "READY", "FAILED"]
