"""Publishing: atomic, never overwriting, leaving nothing behind that a server would take for a model."""

import errno
import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chainzrule.service.artifact import store
from chainzrule.service.artifact.listing import list_versions
from chainzrule.service.artifact.store import Artifact, holds, publish, read_artifact
from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.selfcheck import accept
from tests.artifacts import BINARY, CLASSIFIER, Toy
from tests.processes import ROOT


def configmap(version: Path) -> Path:
    """Gives a version the layout of a mounted ConfigMap: files behind the link `..data`, which is swapped as one."""
    data = version / "..2026_01"
    data.mkdir()
    for path in list(version.iterdir()):
        if path.is_file():
            path.rename(data / path.name)
            path.symlink_to(f"..data/{path.name}")
    (version / "..data").symlink_to(data.name)
    return version


def entries(root: Path) -> list[str]:
    """Everything below the model directories."""
    return sorted(f"{path.parent.name}/{path.name}" for path in root.glob("*/*"))


def test_versions_count_up_and_order_as_numbers(tmp_path: Path) -> None:
    for number in range(1, 12):
        assert CLASSIFIER.publish(tmp_path) == tmp_path / "toy" / str(number)
    found = [stored.version for stored in list_versions(tmp_path)]
    assert found == [str(number) for number in range(11, 0, -1)]
    for number in (1, 11):
        assert read_artifact(tmp_path / "toy" / str(number)).card.version == str(number)


def test_the_directory_holds_exactly_its_files(tmp_path: Path) -> None:
    version = CLASSIFIER.publish(tmp_path)
    assert {path.name for path in version.iterdir()} == {"card.json", "model.onnx", "jacobian.onnx"}
    assert entries(tmp_path) == ["toy/1"]
    artifact = read_artifact(version)
    assert artifact.card == CLASSIFIER.card()
    assert (version / "card.json").read_text().endswith("}\n")
    # Whoever runs the server may read them.
    assert version.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in version.iterdir()} == {0o644}


@pytest.mark.parametrize("taken", ["directory", "empty directory", "file"])
def test_a_taken_number_means_the_next(tmp_path: Path, taken: str) -> None:
    other = tmp_path / "toy" / "7"
    other.parent.mkdir()
    if taken == "file":
        other.write_text("mine")
    else:
        other.mkdir()
        if taken == "directory":
            (other / "mine").write_text("mine")
    assert CLASSIFIER.publish(tmp_path).name == "8"
    assert other.exists()
    assert not (other / "card.json").exists() if other.is_dir() else other.read_text() == "mine"


def test_a_number_taken_in_the_last_moment_means_the_next(tmp_path: Path) -> None:
    described: list[str] = []

    def describe(version: str) -> object:
        described.append(version)
        if len(described) < 3:  # somebody else is faster, twice
            BINARY.write(tmp_path, version).rename(tmp_path / "toy" / version)
        return CLASSIFIER.card(version)

    (tmp_path / "binary").mkdir()
    found = publish(tmp_path, "toy", CLASSIFIER.graphs, describe, accept)  # type: ignore[arg-type]
    assert described == ["1", "2", "3"]
    assert found.name == "3"
    assert read_artifact(found).card.version == "3"
    assert read_artifact(tmp_path / "toy" / "1").card.name == "binary"
    assert entries(tmp_path) == ["toy/1", "toy/2", "toy/3"]


def test_threads_get_different_numbers(tmp_path: Path) -> None:
    found: list[Path] = []
    barrier = threading.Barrier(8)

    def work(seed: int) -> None:
        toy = replace(CLASSIFIER, seed=seed)
        assert toy.graphs
        barrier.wait()
        found.extend(toy.publish(tmp_path, check=lambda artifact: None) for _ in range(3))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(path.name) for path in found) == list(range(1, 25))
    assert entries(tmp_path) == sorted(f"toy/{number}" for number in range(1, 25))
    for path in found:
        assert read_artifact(path).card.version == path.name


def _publish_three(root: str, seed: int) -> list[str]:
    toy = replace(CLASSIFIER, seed=seed)
    return [toy.publish(Path(root), check=lambda artifact: None).name for _ in range(3)]


def test_processes_get_different_numbers(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        numbers = [
            name
            for names in pool.starmap(_publish_three, [(str(tmp_path), seed) for seed in range(3)])
            for name in names
        ]
    assert sorted(map(int, numbers)) == list(range(1, 10))
    for number in numbers:
        assert read_artifact(tmp_path / "toy" / number).card.version == number


def fail(artifact: Artifact) -> None:
    raise ArtifactError("is not good enough")


BROKEN: list[tuple[str, Toy, Callable[[Artifact], None], str]] = [
    ("refused by the publisher", CLASSIFIER, fail, "is not good enough"),
    ("refused by the self-check", CLASSIFIER.with_graph("model", b"garbage"), accept, "ONNX Runtime cannot load it"),
    ("a card of other graphs", replace(CLASSIFIER, changes={"graphs": BINARY.card().graphs}), accept, "sha256"),
]


@pytest.mark.parametrize(("toy", "check", "reason"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_refused_artifact_leaves_nothing_behind(
    tmp_path: Path, toy: Toy, check: Callable[[Artifact], None], reason: str
) -> None:
    CLASSIFIER.publish(tmp_path)
    with pytest.raises(ArtifactError, match=reason):
        toy.publish(tmp_path, check=check)
    assert entries(tmp_path) == ["toy/1"]


def test_a_failing_description_leaves_nothing_behind(tmp_path: Path) -> None:
    def describe(version: str) -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path, "toy", CLASSIFIER.graphs, describe, accept)  # type: ignore[arg-type]
    assert entries(tmp_path) == []


def test_a_rename_that_fails_for_another_reason_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(path: Path, target: Path) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(PermissionError):
        CLASSIFIER.publish(tmp_path)
    assert entries(tmp_path) == []


@pytest.mark.parametrize("name", ["", "..", "../toy", "a/b", ".hidden", "a b", "a\n", "é", "a" * 65])
def test_names_that_are_no_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="a model name has"):
        publish(tmp_path / "models", name, CLASSIFIER.graphs, CLASSIFIER.card, accept)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from pathlib import Path
from tests.artifacts import CLASSIFIER
CLASSIFIER.publish(Path(sys.argv[1]), check=lambda artifact: os._exit(9))
"""


def test_a_publisher_that_is_killed_leaves_only_what_the_server_ignores(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert killed.returncode == 9
    (left,) = entries(tmp_path)
    assert left.startswith("toy/.publishing-")
    assert list_versions(tmp_path) == []
    assert CLASSIFIER.publish(tmp_path).name == "1"
    assert [stored.version for stored in list_versions(tmp_path)] == ["1"]


def test_nothing_is_seen_before_it_is_whole(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def watch(artifact: Artifact) -> None:
        seen.append([stored.version for stored in list_versions(tmp_path)])

    CLASSIFIER.publish(tmp_path, check=watch)
    CLASSIFIER.publish(tmp_path, check=watch)
    assert seen == [[], ["1"]]


def test_a_file_of_a_version_is_no_link_and_no_pipe(tmp_path: Path) -> None:
    outside = CLASSIFIER.write(tmp_path / "outside") / "jacobian.onnx"
    cases: list[tuple[Callable[[Path], None], str]] = [
        (lambda path: path.symlink_to(outside), "is a link that leads out"),
        (lambda path: path.symlink_to("../../outside/toy/1/jacobian.onnx"), "is a link that leads out"),
        (os.mkfifo, "is not a readable regular file"),
    ]
    for number, (make, reason) in enumerate(cases, start=1):
        version = CLASSIFIER.write(tmp_path, str(number))
        (version / "jacobian.onnx").unlink()
        make(version / "jacobian.onnx")
        with pytest.raises(ArtifactError, match=rf"jacobian\.onnx: {reason}"):
            read_artifact(version)


def test_links_within_a_version_are_followed_as_a_configmap_has_them(tmp_path: Path) -> None:
    version = configmap(CLASSIFIER.write(tmp_path))
    assert read_artifact(version).card == CLASSIFIER.card()


def test_hidden_files_are_no_part_of_a_version(tmp_path: Path) -> None:
    version = CLASSIFIER.write(tmp_path)
    (version / ".DS_Store").write_bytes(b"a file manager's")
    assert read_artifact(version).card == CLASSIFIER.card()
    (version / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"holds 'notes\.txt', which the card does not name: delete it"):
        read_artifact(version)


def test_the_digest_stands_for_the_whole_version(tmp_path: Path) -> None:
    version = CLASSIFIER.write(tmp_path)
    digest = read_artifact(version).digest
    assert digest == hashlib.sha256((version / "card.json").read_bytes()).hexdigest()
    assert read_artifact(version, digest).digest == digest
    assert holds(version, digest)
    assert not holds(version, "0" * 64)
    with pytest.raises(ArtifactError, match=r"card\.json: was changed while"):
        read_artifact(version, "0" * 64)
    content = bytearray((version / "jacobian.onnx").read_bytes())
    content[-1] ^= 1
    (version / "jacobian.onnx").write_bytes(content)
    assert not holds(version, digest)
    (version / "card.json").unlink()
    assert not holds(version, digest)


def test_a_file_of_another_hash_is_never_read_whole(tmp_path: Path) -> None:
    version = CLASSIFIER.write(tmp_path)
    os.truncate(version / "model.onnx", 2**28)  # sparse
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError, match=r"model\.onnx: its sha256 is not the card's"):
            read_artifact(version)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_what_is_published_can_be_read_by_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        version = CLASSIFIER.publish(tmp_path / "new" / "models")
    finally:
        os.umask(before)
    for folder in (version, version.parent, version.parent.parent, version.parent.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o755, folder


def test_a_folder_that_was_closed_to_others_is_left_so_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "toy").mkdir(mode=0o700)
    CLASSIFIER.publish(tmp_path)
    assert (tmp_path / "toy").stat().st_mode & 0o777 == 0o700
    assert "chmod o+rx" in caplog.text


def test_a_file_that_cannot_be_read_to_its_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = CLASSIFIER.write(tmp_path)

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(store.os, "fdopen", broken)
    with pytest.raises(ArtifactError) as caught:
        read_artifact(version)
    assert str(caught.value) == "card.json: cannot be read (Input/output error)"


@pytest.mark.parametrize(("name", "limit"), [("card.json", 64 * 2**20), ("model.onnx", 2**31 - 1)])
def test_a_file_beyond_its_limit_is_refused_before_it_is_read(tmp_path: Path, name: str, limit: int) -> None:
    version = CLASSIFIER.write(tmp_path)
    os.truncate(version / name, limit + 1)  # a hole, which takes no space
    with pytest.raises(ArtifactError, match=f"{name}: is larger than {limit} bytes"):
        read_artifact(version)


def test_no_file_stays_open(tmp_path: Path) -> None:
    good, bad = CLASSIFIER.write(tmp_path, "1"), CLASSIFIER.write(tmp_path, "2")
    (bad / "model.onnx").write_bytes(b"other")
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())
    read_artifact(good)
    with pytest.raises(ArtifactError):
        read_artifact(bad)
    CLASSIFIER.publish(tmp_path / "another")
    assert sorted(path.name for path in Path("/proc/self/fd").iterdir()) == before


def test_a_signature_is_published_with_its_version_and_of_its_own_number(tmp_path: Path) -> None:
    asked: list[tuple[str, str, str]] = []

    def sign(name: str, version: str, digest: str) -> bytes:
        asked.append((name, version, digest))
        return b"signed"

    for number in ("1", "2"):
        path = publish(tmp_path, "toy", CLASSIFIER.graphs, CLASSIFIER.card, accept, sign)
        assert asked[-1] == ("toy", number, store.card_digest(path))
        assert store.read_signature(path) == b"signed"
        assert read_artifact(path).card == CLASSIFIER.card(number)
    assert (path / "card.sig").stat().st_mode & 0o777 == 0o644


def test_a_version_that_is_refused_is_not_signed(tmp_path: Path) -> None:
    def sign(*_: str) -> bytes:
        raise AssertionError("it was refused already")

    with pytest.raises(ArtifactError, match="is not good enough"):
        publish(tmp_path, "toy", CLASSIFIER.graphs, CLASSIFIER.card, fail, sign)
    assert entries(tmp_path) == []


def test_a_digest_binds_the_card(tmp_path: Path) -> None:
    path = CLASSIFIER.publish(tmp_path)
    assert read_artifact(path, store.card_digest(path)).card == CLASSIFIER.card()
    with pytest.raises(ArtifactError, match=r"card\.json: was changed while"):
        read_artifact(path, "0" * 64)


def test_a_signature_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = CLASSIFIER.publish(tmp_path)
    with pytest.raises(ArtifactError, match=r"card\.sig: is missing"):
        store.read_signature(path)
    for content in (b"one", b"another"):
        store.write_signature(path, content)
        assert store.read_signature(path) == content
        assert read_artifact(path).card == CLASSIFIER.card()
    assert entries(tmp_path) == ["toy/1"]
