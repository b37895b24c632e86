"""The catalog says what answers, what is ready, and what is the default."""

from pathlib import Path

import pytest

from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.errors import InvalidInput, NotReady, UnknownModel, UnknownVersion
from chainzrule.service.serving.catalog import Catalog, Entry, State

pytestmark = pytest.mark.anyio


def added(catalog: Catalog[str], name: str, version: str, state: State = State.READY) -> Entry[str]:
    """Puts a version that is in a state into the catalog."""
    entry = Entry[str](StoredVersion(name, version, Path(name, version)), state)
    catalog.put(entry)
    if state is State.READY:
        catalog.serve(entry, f"{name}/{version}")
    return entry


def started(default: str | None = None, required: tuple[str, ...] = ()) -> Catalog[str]:
    catalog: Catalog[str] = Catalog(default, required)
    catalog.started.set()
    return catalog


def test_states_have_their_names() -> None:
    assert [str(state) for state in State] == ["LOADING", "READY", "FAILED"]


def test_the_newest_ready_version_answers() -> None:
    catalog = started()
    for version in ("9", "10", "2"):
        added(catalog, "a", version)
    added(catalog, "a", "11", State.FAILED)
    added(catalog, "a", "12", State.LOADING)
    assert list(catalog.entries("a")) == ["12", "11", "10", "9", "2"]  # as numbers
    assert catalog.resolve("a", None) == "a/10"
    assert catalog.resolve("a", "2") == "a/2"
    for version, state in (("11", "FAILED"), ("12", "LOADING")):
        with pytest.raises(NotReady, match=state):
            catalog.resolve("a", version)
    added(catalog, "b", "1", State.FAILED)
    with pytest.raises(NotReady, match="no version"):
        catalog.resolve("b", None)


def test_unknown_names_are_refused() -> None:
    catalog = started()
    added(catalog, "a", "1")
    with pytest.raises(UnknownModel):
        catalog.resolve("s3cret", None)
    for version in ("2", "01", "", "1.0", "s3cret"):
        with pytest.raises(UnknownVersion) as caught:
            catalog.resolve("a", version)
        assert "s3cret" not in str(caught.value)


def test_nothing_is_unknown_while_models_are_still_looked_for() -> None:
    catalog: Catalog[str] = Catalog(None, ())
    for name in ("a", None):
        with pytest.raises(NotReady):
            catalog.resolve(name, None)
    catalog.started.set()
    with pytest.raises(UnknownModel):
        catalog.resolve("a", None)
    with pytest.raises(InvalidInput):
        catalog.resolve(None, None)


def test_the_default_is_the_only_model_or_the_named_one() -> None:
    catalog, named = started(), started(default="b")
    for one in (catalog, named):
        added(one, "a", "1")
    assert catalog.default() == "a"
    assert catalog.resolve(None, None) == "a/1"
    for one in (catalog, named):
        added(one, "b", "1")
    assert catalog.default() is None
    with pytest.raises(InvalidInput) as caught:
        catalog.resolve(None, None)
    assert caught.value.place == "model"
    assert named.resolve(None, "1") == "b/1"


def test_a_newcomer_that_was_never_ready_leaves_the_default_as_it_is() -> None:
    catalog = started()
    added(catalog, "a", "1")
    added(catalog, "new", "1", State.FAILED)
    assert catalog.default() == "a"
    lone = started()
    added(lone, "new", "1", State.FAILED)
    assert lone.default() == "new"


def test_a_newcomer_never_makes_it_unready() -> None:
    catalog = started()
    assert not catalog.ready()
    added(catalog, "a", "1")
    assert catalog.ready()
    for name, state in (("half", State.FAILED), ("slow", State.LOADING)):
        added(catalog, name, "1", state)
        assert (catalog.ready(), catalog.unready()) == (True, [])


def test_a_model_that_was_ready_once_is_waited_for_until_it_is_removed() -> None:
    catalog = started()
    added(catalog, "a", "1")
    entry = added(catalog, "b", "1")
    added(catalog, "b", "2", State.FAILED)
    catalog.drop(entry)
    assert (catalog.ready(), catalog.unready()) == (False, ["b"])
    catalog.forget("b")
    assert (catalog.ready(), catalog.unready()) == (True, [])
    catalog.forget("a")
    assert not catalog.ready()


def test_required_models_are_waited_for_and_no_others() -> None:
    some, more = started(required=("a",)), started(required=("a", "c"))
    for catalog in (some, more):
        added(catalog, "a", "1")
        catalog.drop(added(catalog, "b", "1"))
    assert (some.ready(), some.unready()) == (True, [])
    assert (more.ready(), more.unready()) == (False, ["c"])


def test_while_it_starts_it_waits_for_everything_that_loads() -> None:
    catalog: Catalog[str] = Catalog()
    added(catalog, "a", "1")
    slow = added(catalog, "slow", "1", State.LOADING)
    added(catalog, "broken", "1", State.FAILED)
    assert (catalog.ready(), catalog.loading(), catalog.unready()) == (False, True, ["slow"])
    slow.overdue = True
    assert not catalog.loading()
    assert not catalog.ready()  # until somebody says that it has started
    catalog.started.set()
    assert catalog.ready()


def test_what_no_longer_answers_is_retired() -> None:
    retired: list[str] = []
    catalog: Catalog[str] = Catalog(retire=retired.append)
    first = added(catalog, "a", "1")
    added(catalog, "a", "2")
    added(catalog, "a", "3", State.FAILED)
    catalog.drop(first)
    assert retired == ["a/1"]
    catalog.forget("a")
    assert retired == ["a/1", "a/2"]
    catalog.serve(first, "a/1 too late")  # it was loaded while it was dropped
    assert retired == ["a/1", "a/2", "a/1 too late"]
    assert dict(catalog.models()) == {}
    assert not catalog.ready()


def test_a_model_is_unloaded_until_it_is_admitted() -> None:
    catalog = started()
    added(catalog, "a", "1")
    added(catalog, "b", "1")
    for _ in range(2):  # once more changes nothing
        catalog.unload("a")
        assert [name for name, _ in catalog.models()] == ["b"]
        assert catalog.unloaded() == ["a"]
        with pytest.raises(NotReady, match="unloaded"):
            catalog.resolve("a", None)
    assert catalog.default() is None  # another does not answer in its place
    assert catalog.ready()
    catalog.admit("a")
    assert catalog.unloaded() == []
    with pytest.raises(UnknownModel):
        catalog.unload("c")
    assert catalog.unloaded() == []
