"""Signs versions and checks their signatures, with Ed25519 keys that are read from files.

A signature covers the name and version under which a model is served, and the sha256 of its card's file. The card holds
the sha256 of every graph, so the signature covers every byte of the version. This is the only file that needs the
package `cryptography`, which is an extra.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from chainzrule.service.artifact.store import SIGNATURE_FILE, card_digest, read_signature
from chainzrule.service.errors import ArtifactError, KeyFileError

MAX_KEY_BYTES = 65_536
_MARK = b"chainzrule-signature-1"  # names the format, and keeps other uses of the same key apart from this one
_LINE = re.compile(re.escape(_MARK) + rb" ed25519 ([0-9a-f]{64}) ([0-9a-f]{128})\n")


@dataclass(frozen=True)
class PublicKey:
    """Checks what the owner of the private key has signed."""

    key: Ed25519PublicKey

    @property
    def raw(self) -> bytes:
        """Returns the key's 32 bytes."""
        return self.key.public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def id(self) -> str:
        """Returns the sha256 of the key's bytes, by which signatures name it."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def line(self) -> str:
        """Returns the key as one line of base64."""
        return base64.b64encode(self.raw).decode()

    @property
    def pem(self) -> bytes:
        """Returns the key as a PEM file's content."""
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class PrivateKey:
    """Signs versions with one private key."""

    key: Ed25519PrivateKey

    @staticmethod
    def new() -> "PrivateKey":
        """Returns a new key, drawn by the system's random source."""
        return PrivateKey(Ed25519PrivateKey.generate())

    @property
    def public(self) -> PublicKey:
        """Returns the key that checks what this one signs."""
        return PublicKey(self.key.public_key())

    @property
    def pem(self) -> bytes:
        """Returns the key as a PEM file's content, without a passphrase."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, name: str, version: str, digest: str) -> bytes:
        """Returns the signature file's content for a version whose card's file has this sha256."""
        signer = self.public.id
        signature = self.key.sign(_statement(name, version, digest, signer))
        return b"%s ed25519 %s %s\n" % (_MARK, signer.encode(), signature.hex().encode())


@dataclass(frozen=True)
class Keyring:
    """Holds the keys whose signatures are accepted, by their ids."""

    keys: Mapping[str, PublicKey]

    def require_signature(self, path: Path, name: str, version: str) -> str:
        """Returns the sha256 of the card in a version's directory, where one of the keys has signed it.

        Nothing of the version but the card's bytes and the signature is read, and neither is interpreted before it is
        known who wrote it.

        Args:
            path: the version's directory.
            name: the name under which the model is served.
            version: the number under which it is served.

        Raises:
            ArtifactError: the version is not signed, or by none of the keys, or it is not what they signed.
        """
        line = _LINE.fullmatch(read_signature(path))
        if line is None:
            raise ArtifactError(
                "is no signature of the kind that this service knows; sign the version again", SIGNATURE_FILE
            )
        signer, signature = line[1].decode(), bytes.fromhex(line[2].decode())
        if signer not in self.keys:
            raise ArtifactError(
                f"was made with the key {signer[:16]}..., which is not among the trusted ones", SIGNATURE_FILE
            )
        digest = card_digest(path)
        try:
            self.keys[signer].key.verify(signature, _statement(name, version, digest, signer))
        except InvalidSignature:
            raise ArtifactError(
                "does not fit: the card was changed after it was signed, or signed for another name or version",
                SIGNATURE_FILE,
            ) from None
        return digest


def read_private_key(file: Path) -> PrivateKey:
    """Returns the private key in a PEM file; raises `KeyFileError` where there is none."""
    content = _read(file)
    if b"BEGIN PUBLIC KEY" in content:
        raise KeyFileError("is a public key; signing takes the private one", str(file))
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise KeyFileError("has a passphrase; give a key without one", str(file)) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(
            "is not a private key in PEM format, as `chainzrule keys new` writes one", str(file)
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError("is a key of another algorithm than Ed25519", str(file))
    return PrivateKey(key)


def read_public_key(file: Path) -> PublicKey:
    """Returns the public key in a file, PEM or one line of base64; raises `KeyFileError` where there is none."""
    content = _read(file)
    if b"PRIVATE KEY" in content:
        raise KeyFileError("is a private key, which belongs to whoever signs; name the public one", str(file))
    try:
        if b"-----BEGIN" in content:
            key = load_pem_public_key(content)
        else:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(content.strip(), validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise KeyFileError("is not a public key, in PEM format or 32 bytes as one line of base64", str(file)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError("is a key of another algorithm than Ed25519", str(file))
    return PublicKey(key)


def read_keyring(path: Path) -> Keyring:
    """Returns the public key in a file, or all of those in a directory, in which hidden entries are passed over.

    Raises:
        KeyFileError: a file is no public key, nothing can be read, or there is no key at all.
    """
    try:
        files = sorted(_visible(path)) if path.is_dir() else [path]
    except OSError as error:
        raise KeyFileError(f"cannot be listed ({error.strerror})", str(path)) from None
    if not files:
        raise KeyFileError("holds no key, so that nothing could be served", str(path))
    return Keyring({key.id: key for key in map(read_public_key, files)})


def _visible(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _statement(name: str, version: str, digest: str, signer: str) -> bytes:
    """Returns what is signed; none of the parts can contain a line break."""
    return b"\n".join((_MARK, *(part.encode() for part in (name, version, digest, signer))))


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"cannot be read ({error.strerror})", str(file)) from None
    if len(content) > MAX_KEY_BYTES:
        raise KeyFileError(f"is larger than {MAX_KEY_BYTES} bytes, and so no key", str(file))
    return content
