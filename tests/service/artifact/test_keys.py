"""Signatures with real keys: of everything that is changed, swapped or signed by somebody else, nothing is read."""

import base64
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from chainzrule.service.artifact.keys import Keyring, PrivateKey, read_keyring, read_private_key, read_public_key
from chainzrule.service.artifact.store import (
    SIGNATURE_FILE,
    Artifact,
    card_digest,
    read_artifact,
    write_signature,
)
from chainzrule.service.errors import ArtifactError, KeyFileError
from tests.artifacts import BINARY, CLASSIFIER, Toy

KEY, STRANGER = PrivateKey.new(), PrivateKey.new()
KEYS = Keyring({KEY.public.id: KEY.public})


def signed(root: Path, toy: Toy = CLASSIFIER, version: str = "1", key: PrivateKey = KEY) -> Path:
    path = toy.write(root, version)
    write_signature(path, key.sign(toy.name, version, card_digest(path)))
    return path


def read(path: Path, keys: Keyring = KEYS, name: str | None = None, version: str | None = None) -> Artifact:
    """Reads a version as the service does, under its directory's name and number."""
    digest = keys.require_signature(path, name or path.parent.name, version or path.name)
    return read_artifact(path, digest)


def test_what_is_signed_is_read_and_what_was_signed_is_told(tmp_path: Path) -> None:
    path = signed(tmp_path)
    assert read(path).card == CLASSIFIER.card()
    assert KEYS.require_signature(path, "toy", "1") == card_digest(path)
    assert read_artifact(path).card == CLASSIFIER.card()  # whoever asks for no signature is not kept from reading
    both = Keyring({key.public.id: key.public for key in (STRANGER, KEY)})
    assert read(path, both).card == CLASSIFIER.card()
    (path / SIGNATURE_FILE).write_bytes(b"no signature")
    assert read_artifact(path).card == CLASSIFIER.card()


def test_of_ten_thousand_changes_swaps_and_strangers_none_is_read(tmp_path: Path) -> None:
    path = signed(tmp_path)
    others = [
        signed(tmp_path, replace(CLASSIFIER, seed=9), "2"),
        signed(tmp_path, BINARY),
        signed(tmp_path, version="3"),
    ]
    whole = {file.name: file.read_bytes() for file in path.iterdir()}
    foreign = [{file.name: file.read_bytes() for file in other.iterdir()} for other in others]
    names = sorted(whole)
    assert names == ["card.json", "card.sig", "jacobian.onnx", "model.onnx"]
    draw = np.random.default_rng(20)

    def changed_byte(content: bytes) -> bytes:
        at = int(draw.integers(len(content)))
        return content[:at] + bytes([content[at] ^ int(draw.integers(1, 256))]) + content[at + 1 :]

    def cut_or_grown(content: bytes) -> bytes:
        at = int(draw.integers(len(content)))
        return content[:at] + bytes(draw.integers(0, 256, int(draw.integers(0, 9)), dtype=np.uint8)) + content[at + 1 :]

    def by_a_stranger(content: bytes) -> bytes:
        """A stranger's own signature, or one that claims to be of the trusted key."""
        content = PrivateKey.new().sign("toy", "1", card_digest(path))
        if draw.integers(2):
            content = content.replace(content.split()[2], KEY.public.id.encode())
        return content

    def swapped(content: bytes) -> bytes:
        return foreign[int(draw.integers(len(foreign)))][name]

    kinds: list[Callable[[bytes], bytes]] = [changed_byte, changed_byte, cut_or_grown, by_a_stranger, swapped]
    refused = dict.fromkeys(names, 0)
    while sum(refused.values()) < 10_000:
        change = kinds[int(draw.integers(len(kinds)))]
        name = SIGNATURE_FILE if change is by_a_stranger else names[int(draw.integers(len(names)))]
        content = change(whole[name])
        if content == whole[name]:
            continue
        (path / name).write_bytes(content)
        with pytest.raises(ArtifactError):
            read(path)
        (path / name).write_bytes(whole[name])
        refused[name] += 1
    assert min(refused.values()) > 1_000
    assert read(path).card == CLASSIFIER.card()


def test_every_single_byte_of_a_signature_counts(tmp_path: Path) -> None:
    path = signed(tmp_path)
    content = (path / SIGNATURE_FILE).read_bytes()
    for at in range(len(content)):
        for bit in range(8):
            (path / SIGNATURE_FILE).write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            with pytest.raises(ArtifactError):
                KEYS.require_signature(path, "toy", "1")


def test_whole_files_of_another_signed_version_are_not_this_one(tmp_path: Path) -> None:
    """Each is signed, and the mixture is not: not even the whole of version 2 under the number 1."""
    path, newer = signed(tmp_path), signed(tmp_path, replace(CLASSIFIER, seed=9), "2")
    moved = tmp_path / "moved" / "toy"
    shutil.copytree(newer, moved / "1")
    with pytest.raises(ArtifactError, match=r"card\.sig: does not fit: .* for another name or version"):
        read(moved / "1")
    with pytest.raises(ArtifactError, match=r"card\.sig: does not fit"):
        read(path, name="renamed")
    for name in ("model.onnx", "jacobian.onnx"):
        mixed = tmp_path / name / "toy" / "1"
        shutil.copytree(path, mixed)
        shutil.copy(newer / name, mixed / name)
        with pytest.raises(ArtifactError, match=f"{name}: its sha256 is not the card's"):
            read(mixed)


def test_reasons_are_told_apart_and_echo_nothing(tmp_path: Path) -> None:
    path = signed(tmp_path)
    with pytest.raises(ArtifactError, match=r"^card\.sig: was made with the key [0-9a-f]{16}\.\.\., which is not"):
        read(path, Keyring({STRANGER.public.id: STRANGER.public}))
    (path / SIGNATURE_FILE).write_bytes(b"secret " * 10)
    with pytest.raises(ArtifactError, match=r"^card\.sig: is no signature of the kind") as caught:
        read(path)
    assert "secret" not in str(caught.value)
    (path / SIGNATURE_FILE).write_bytes(b"\0" * 5000)
    with pytest.raises(ArtifactError, match=r"^card\.sig: is larger than 4096 bytes"):
        read(path)
    (path / SIGNATURE_FILE).unlink()
    with pytest.raises(ArtifactError, match=r"^card\.sig: is missing: the version is not signed"):
        read(path)


def test_a_card_that_nobody_trusted_signed_is_not_even_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is any graph read: what a stranger wrote reaches no parser."""
    path = signed(tmp_path, key=STRANGER)
    (path / "card.json").write_bytes(b"[" * 1_000_000)
    (path / "model.onnx").unlink()
    with pytest.raises(ArtifactError, match="not among the trusted"):
        read(path)


def test_a_card_changed_between_check_and_use_is_refused(tmp_path: Path) -> None:
    path = signed(tmp_path)
    digest = KEYS.require_signature(path, "toy", "1")
    (path / "card.json").write_bytes((path / "card.json").read_bytes() + b"\n")
    with pytest.raises(ArtifactError, match=r"card\.json: was changed while"):
        read_artifact(path, digest)


def test_a_signature_is_not_one_of_anything_else_by_the_same_key(tmp_path: Path) -> None:
    """What is signed begins with the format's own name, and names the key."""
    path = signed(tmp_path)
    bare = KEY.key.sign(f"toy\n1\n{card_digest(path)}\n{KEY.public.id}".encode())
    line = (path / SIGNATURE_FILE).read_bytes().split()
    (path / SIGNATURE_FILE).write_bytes(b" ".join([*line[:3], bare.hex().encode()]) + b"\n")
    with pytest.raises(ArtifactError, match="does not fit"):
        read(path)


@pytest.mark.parametrize("form", ["pem", "line", "line and blanks"])
def test_a_public_key_is_read_in_each_of_its_forms(tmp_path: Path, form: str) -> None:
    file = tmp_path / "key.pub"
    line = f" {KEY.public.line}\n\n" if form == "line and blanks" else f"{KEY.public.line}\n"
    file.write_bytes(KEY.public.pem if form == "pem" else line.encode())
    assert read_public_key(file).raw == KEY.public.raw
    assert list(read_keyring(file).keys) == [KEY.public.id]


def test_a_private_key_is_read_back_and_signs_the_same(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY.pem)
    again = read_private_key(tmp_path / "key")
    assert again.public.id == KEY.public.id
    assert again.sign("toy", "1", "0" * 64) == KEY.sign("toy", "1", "0" * 64)
    assert len({PrivateKey.new().public.id for _ in range(8)}) == 8


def test_a_folder_of_keys_holds_all_of_them_but_what_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "one.pub").write_bytes(KEY.public.pem)
    (tmp_path / "two.pub").write_text(STRANGER.public.line)
    (tmp_path / "..data").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    assert set(read_keyring(tmp_path).keys) == {KEY.public.id, STRANGER.public.id}


EC = generate_ec(SECP256R1())
ENCRYPTED = KEY.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
NO_PUBLIC_KEYS = {
    "is a private key": KEY.pem,
    "is not a public key": b"nonsense",
    "is not a public key, ": base64.b64encode(b"\1" * 31),
    "is not a public key, in": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    "another algorithm": EC.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "is larger than": b"A" * 70_000,
}
NO_PRIVATE_KEYS = {
    "is a public key": KEY.public.pem,
    "is not a private key": b"nonsense",
    "has a passphrase": ENCRYPTED,
    "another algorithm": EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
}


@pytest.mark.parametrize("reason", list(NO_PUBLIC_KEYS))
def test_a_file_that_is_no_public_key_is_named_with_the_reason(tmp_path: Path, reason: str) -> None:
    (tmp_path / "good.pub").write_bytes(KEY.public.pem)
    (tmp_path / "some.pub").write_bytes(NO_PUBLIC_KEYS[reason])
    with pytest.raises(KeyFileError, match=rf"some\.pub: .*{reason}"):
        read_keyring(tmp_path)


@pytest.mark.parametrize("reason", list(NO_PRIVATE_KEYS))
def test_a_file_that_is_no_private_key_is_named_with_the_reason(tmp_path: Path, reason: str) -> None:
    (tmp_path / "some.key").write_bytes(NO_PRIVATE_KEYS[reason])
    with pytest.raises(KeyFileError, match=rf"some\.key: .*{reason}"):
        read_private_key(tmp_path / "some.key")


def test_keys_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"none: cannot be read \(No such file"):
        read_keyring(tmp_path / "none")
    with pytest.raises(KeyFileError, match="holds no key"):
        read_keyring(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(KeyFileError, match=r"folder: cannot be read \(Is a directory"):
        read_keyring(tmp_path)
