"""A service that requires signatures: what is not as it was signed is FAILED with its reason, and the rest answers."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from chainzrule.service.app import create_app
from chainzrule.service.artifact.keys import PrivateKey
from chainzrule.service.artifact.store import SIGNATURE_FILE, card_digest, write_signature
from chainzrule.service.errors import KeyFileError
from chainzrule.service.settings import Settings
from tests.artifacts import CLASSIFIER
from tests.service.conftest import serve

pytestmark = pytest.mark.anyio

KEY, STRANGER = PrivateKey.new(), PrivateKey.new()
NEWER = replace(CLASSIFIER, seed=9)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "release.pub").write_bytes(KEY.public.pem)
    return tmp_path / "trusted"


def put_signature(path: Path, key: PrivateKey = KEY, version: str | None = None) -> None:
    write_signature(path, key.sign("toy", version or path.name, card_digest(path)))


def other_bytes(path: Path) -> None:
    put_signature(path)
    (path / "jacobian.onnx").write_bytes((path / "jacobian.onnx").read_bytes() + b"\0")


def other_card(path: Path) -> None:
    put_signature(path)
    (path / "card.json").write_bytes((path / "card.json").read_bytes() + b" ")


def other_graph(path: Path) -> None:
    put_signature(path)
    shutil.copy(path.parent / "1" / "model.onnx", path)


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "not signed": (lambda path: None, "card.sig: is missing: the version is not signed"),
    "signed by a stranger": (lambda path: put_signature(path, STRANGER), "not among the trusted ones"),
    "signed for another number": (lambda path: put_signature(path, KEY, "3"), "card.sig: does not fit"),
    "with version 1's signature": (lambda path: shutil.copy(path.parent / "1" / SIGNATURE_FILE, path), "does not fit"),
    "with a changed graph": (other_bytes, "jacobian.onnx: its sha256 is not the card's"),
    "with a changed card": (other_card, "card.sig: does not fit: the card was changed"),
    "with version 1's graph": (other_graph, "model.onnx: its sha256 is not the card's"),
}


async def states(client: httpx.AsyncClient) -> dict[str, tuple[str, str]]:
    (model,) = (await client.get("/models")).json()["models"]
    return {one["version"]: (one["state"], one.get("reason") or "") for one in model["versions"]}


@pytest.mark.parametrize("kind", list(SPOILT))
async def test_a_version_that_is_not_as_signed_fails_and_the_older_one_serves_on(
    tmp_path: Path, keys: Path, kind: str
) -> None:
    root = tmp_path / "models"
    put_signature(CLASSIFIER.publish(root))
    async with serve(root, require_signature=keys) as client:
        newer = NEWER.publish(root)
        spoil, reason = SPOILT[kind]
        spoil(newer)
        await client.app.context.repository.refresh()  # type: ignore[attr-defined]
        found = await states(client)
        assert found["1"] == ("READY", "")
        assert found["2"][0] == "FAILED"
        assert reason in found["2"][1]
        answer = await client.post("/predict", json={"instances": [[1.0, 2.0]]})
        assert (answer.status_code, answer.json()["version"]) == (200, "1")
        # It is served as soon as it is what somebody trusted has signed.
        shutil.rmtree(newer)
        put_signature(NEWER.publish(root))
        await client.app.context.repository.refresh()  # type: ignore[attr-defined]
        assert (await states(client))["2"] == ("READY", "")


async def test_without_the_policy_signatures_of_any_kind_do_no_harm(tmp_path: Path) -> None:
    root = tmp_path / "models"
    put_signature(CLASSIFIER.publish(root), STRANGER)
    (NEWER.publish(root) / SIGNATURE_FILE).write_bytes(b"nonsense")
    async with serve(root) as client:
        assert await states(client) == {"2": ("READY", ""), "1": ("READY", "")}


def test_a_folder_without_a_usable_key_keeps_the_service_from_starting(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "some.pub").write_bytes(KEY.pem)
    for path, reason in ((tmp_path / "none", "cannot be read"), (tmp_path / "some.pub", "is a private key")):
        with pytest.raises(KeyFileError, match=f"^--require-signature: .*{reason}"):
            create_app(Settings(models=tmp_path / "models", require_signature=path))
