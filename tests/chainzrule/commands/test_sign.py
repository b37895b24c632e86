"""`chainzrule sign`: all that is named or nothing, and only what the service would serve."""

from dataclasses import replace
from pathlib import Path

import pytest

from chainzrule.cli import main
from chainzrule.service.artifact.keys import Keyring, PrivateKey, read_private_key
from chainzrule.service.artifact.listing import list_versions
from chainzrule.service.artifact.store import SIGNATURE_FILE, read_artifact
from chainzrule.service.errors import ArtifactError
from tests.artifacts import BINARY, CLASSIFIER


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for toy in (CLASSIFIER, replace(CLASSIFIER, seed=9), BINARY):
        toy.publish(tmp_path / "models")
    (tmp_path / "key").write_bytes(PrivateKey.new().pem)
    return tmp_path / "models"


def sign(path: Path, key: Path) -> int:
    return main(["sign", str(path), "--key", str(key)])


def signed(root: Path, key: Path) -> list[str]:
    public = read_private_key(key).public
    keys, found = Keyring({public.id: public}), []
    for stored in list_versions(root):
        try:
            digest = keys.require_signature(stored.path, stored.name, stored.version)
        except ArtifactError:
            continue
        read_artifact(stored.path, digest)
        found.append(f"{stored.name}/{stored.version}")
    return found


@pytest.mark.parametrize(
    ("named", "expected"),
    [("", ["binary/1", "toy/2", "toy/1"]), ("toy", ["toy/2", "toy/1"]), ("toy/1", ["toy/1"])],
)
def test_a_version_a_model_or_a_repository_is_signed(
    root: Path, named: str, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign(root / named, root.parent / "key") == 0
    assert signed(root, root.parent / "key") == expected
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"{name.replace('/', ' version ')}: signed" for name in expected]
    assert sorted(path.name for path in (root / "toy" / "1").iterdir()) == [
        "card.json", "card.sig", "jacobian.onnx", "model.onnx",
    ]  # fmt: skip
    assert (root / "toy" / "1" / SIGNATURE_FILE).stat().st_mode & 0o777 == 0o644
    assert not list(root.glob("*/.signing-*"))


@pytest.mark.parametrize("fault", ["damaged graph", "moved", "other answers", "no card"])
def test_one_that_would_not_load_keeps_all_from_being_signed(
    root: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if fault == "damaged graph":
        (root / "toy" / "1" / "model.onnx").write_bytes(b"damaged")
    elif fault == "moved":
        (root / "toy" / "1").rename(root / "toy" / "7")
    elif fault == "other answers":
        CLASSIFIER.with_graph("model", replace(CLASSIFIER, seed=9).graphs["model"]).write(root, "3")
    else:
        (root / "toy" / "1" / "card.json").unlink()
    assert sign(root, root.parent / "key") == 2
    assert not list(root.rglob(SIGNATURE_FILE))
    assert capsys.readouterr().err.startswith("error: ")


def test_what_is_signed_stays_as_it_is_and_another_keys_is_replaced(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = root.parent / "key"
    sign(root / "toy" / "1", key)
    file = root / "toy" / "1" / SIGNATURE_FILE
    before = file.stat()
    capsys.readouterr()
    assert sign(root / "toy", key) == 0
    assert capsys.readouterr().out == "toy version 2: signed\ntoy version 1: was signed already\n"
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert file.stat().st_ino == before.st_ino
    (root.parent / "new key").write_bytes(PrivateKey.new().pem)
    assert sign(root / "toy", root.parent / "new key") == 0
    assert signed(root, root.parent / "new key") == ["toy/2", "toy/1"]


@pytest.mark.parametrize(("path", "reason"), [("nowhere", "no model repository"), ("", "holds any")])
def test_nothing_to_sign_is_said(tmp_path: Path, path: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "key").write_bytes(PrivateKey.new().pem)
    assert sign(tmp_path / "empty" / path, tmp_path / "key") == 2
    assert reason in capsys.readouterr().err
