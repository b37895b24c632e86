"""An examination finds in a version whatever the service would stumble over, and says it in one line."""

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest

from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.errors import ArtifactError
from chainzrule.service.serving.examination import Order, examine, undergo
from tests.artifacts import BINARY, CLASSIFIER, Toy, tensor
from tests.harmful import exploding
from tests.service.serving.test_certify import bounded


def stored(toy: Toy, root: Path) -> StoredVersion:
    return StoredVersion(toy.name, "1", toy.write(root))


def undergone(version: StoredVersion, memory: int = 2**32) -> tuple[dict[str, str | None], str]:
    """Examines a version in a fork of this process; what it found, and what it printed."""
    answer, sent = socket.socketpair()
    reading, writing = os.pipe()
    order = Order(version.name, version.version, str(version.path), 60.0, memory)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            undergo(order, sent, writing, parent)
        finally:
            os._exit(0)
    sent.close()
    os.close(writing)
    with answer, os.fdopen(reading) as output:
        printed = output.read()
        found = answer.recv(65536)
    os.waitpid(pid, 0)
    return json.loads(found), printed


def test_an_order_is_a_message() -> None:
    order = Order("toy", "1", "/models/toy/1", 2.5, 2**30)
    assert Order.decode(order.encode()) == order


def test_a_sound_version_has_a_digest(tmp_path: Path) -> None:
    for toy in (CLASSIFIER, bounded(BINARY)):
        version = stored(toy, tmp_path)
        assert examine(version) == version.read().digest


def test_garbage_for_bounds_is_found(tmp_path: Path) -> None:
    toy = bounded(CLASSIFIER)
    with pytest.raises(ArtifactError, match=r"bounds\.onnx: ONNX Runtime cannot load it"):
        examine(stored(toy.with_graph("bounds", b"garbage"), tmp_path / "garbage"))
    wrong = Toy(name="wrong", bounds=tensor(np.zeros((4, 2, 3)))).with_graph("bounds", toy.graphs["bounds"])
    with pytest.raises(ArtifactError, match=r"bounds\.onnx: does not reproduce"):
        examine(stored(wrong, tmp_path))


def test_what_it_finds_is_sent_and_limits_hold(tmp_path: Path) -> None:
    version = stored(CLASSIFIER, tmp_path)
    assert undergone(version) == ({"digest": version.read().digest}, "")
    (version.path / "model.onnx").write_bytes(b"damaged")
    found, printed = undergone(version)
    assert found == {
        "refused": "its sha256 is not the card's: the file is damaged or was changed",
        "place": "model.onnx",
    }
    assert printed == ""
    path = exploding(tmp_path)
    found, _ = undergone(StoredVersion("explodes", "1", path), memory=2**28)
    assert found == {
        "refused": f"takes more memory to load and check than the {2**28} bytes that max_load_bytes admits"
    }


def test_an_accident_is_named_without_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def accident(version: StoredVersion) -> str:
        raise RuntimeError("s3cret")

    monkeypatch.setattr("chainzrule.service.serving.examination.examine", accident)
    found, printed = undergone(stored(CLASSIFIER, tmp_path))
    assert found == {"refused": "unexpected RuntimeError; see the log"}
    assert "s3cret" in printed  # which goes to the log
