"""Keeps the certificate that the server shows, and the authorities whose clients it lets in."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from chainzrule.service.errors import ServiceError
from chainzrule.service.fingerprint import Fingerprint, fingerprint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TlsFiles:
    """Names the files, in PEM form.

    Attributes:
        certificate: the server's certificate, followed by those that lead to its authority.
        key: the certificate's private key, without a password.
        client_ca: the authorities of the clients that may connect; None lets in clients without a certificate.
    """

    certificate: Path
    key: Path
    client_ca: Path | None

    def fingerprints(self) -> tuple[Fingerprint | int | None, ...]:
        """Returns what changes when one of the files is written, replaced, or cannot be seen any more."""
        return tuple(_fingerprint(file) for file in (self.certificate, self.key, self.client_ca) if file is not None)


class Certificates:
    """Holds what the files held when they last worked.

    Attributes:
        context: the context with which new connections begin.

    Raises:
        ServiceError: the files cannot be read, or do not work together.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._seen = files.fingerprints()
        self.context = _context(files)

    def refresh(self) -> bool:
        """Reads the files again where they have changed; returns whether new connections need the new context."""
        found = self._files.fingerprints()
        if found == self._seen:
            return False
        self._seen = found
        try:
            self.context = _context(self._files)
        except ServiceError as error:
            log.error("the new certificate does not work; the old one stays", extra={"reason": error.detail})
            return False
        log.info("certificate read again")
        return True


def _context(files: TlsFiles) -> ssl.SSLContext:
    for name, file in (("certificate", files.certificate), ("key", files.key), ("client-ca", files.client_ca)):
        try:
            if file is not None:
                file.read_bytes()
        except OSError as error:
            raise ServiceError(f"--tls-{name}: the file cannot be read ({error.strerror})") from None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "the key has a password"
        text = f"--tls-certificate, --tls-key: they do not work together ({reason.replace('_', ' ').lower()})"
        raise ServiceError(text) from None
    if files.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(files.client_ca)
        except ssl.SSLError:
            raise ServiceError("--tls-client-ca: the file holds no certificate") from None
    return context


def _no_password() -> str:
    """Keeps OpenSSL from asking for the password of a key on the terminal."""
    raise ValueError


def _fingerprint(file: Path) -> Fingerprint | int | None:
    try:
        return fingerprint(file.stat())
    except OSError as error:
        return error.errno
