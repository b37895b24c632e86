"""Defines the settings that say where the service listens, and how connections there are encrypted."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from chainzrule.service.tls import TlsFiles

DAY = 86_400  # seconds; event loops cannot set timers for very much longer


class Addresses(BaseSettings):
    """Says where to listen; `Settings` has what is done there."""

    host: str = Field(
        default="127.0.0.1", description="address to listen on; 0.0.0.0 takes all of IPv4, :: all of IPv4 and IPv6"
    )
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    grpc_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="port to answer the open inference protocol on by gRPC, at the same address; 0 is off",
    )
    unix_socket: Path | None = Field(
        default=None, description="listen on this socket in the file system, and not on an address"
    )
    tls_certificate: Path | None = Field(
        default=None, description="PEM file of the certificate and its chain: serve HTTPS; read again when it changes"
    )
    tls_key: Path | None = Field(default=None, description="PEM file of the certificate's key, without a password")
    tls_client_ca: Path | None = Field(
        default=None, description="PEM file of authorities: only clients with a certificate of theirs may connect"
    )
    keep_alive_seconds: int = Field(
        default=75,
        ge=1,
        le=DAY,
        description="seconds that a connection may idle between two requests; let proxies give up earlier",
    )

    @model_validator(mode="after")
    def _addresses_work_together(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are given together or not at all")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        if self.unix_socket is not None and self.tls_certificate is not None:
            raise ValueError("unix_socket takes no tls_certificate: what stays on one machine needs no encryption")
        if self.unix_socket is not None and self.grpc_port:
            raise ValueError("unix_socket takes no grpc_port: it listens on no address")
        if self.grpc_port and self.grpc_port == self.port:
            raise ValueError("grpc_port and port are the same; each protocol needs its own")
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """Returns the files of the certificate; None where connections are in clear text."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return TlsFiles(self.tls_certificate, self.tls_key, self.tls_client_ca)
