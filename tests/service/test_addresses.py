"""Addresses that exclude each other are refused before anything listens."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chainzrule.service.settings import Settings


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tls_key": "k"}, "given together"),
        ({"tls_client_ca": "a"}, "needs tls_certificate"),
        ({"unix_socket": "s", "tls_certificate": "c", "tls_key": "k"}, "takes no tls_certificate"),
        ({"unix_socket": "s", "grpc_port": 8001}, "takes no grpc_port"),
        ({"port": 8000, "grpc_port": 8000}, "are the same"),
        ({"grpc_port": 65536}, "less than or equal to 65535"),
    ],
)
def test_what_cannot_work_together_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Settings(**given)


def test_the_certificates_files_are_one_thing() -> None:
    assert Settings().tls is None
    files = Settings(tls_certificate=Path("c"), tls_key=Path("k")).tls
    assert files is not None
    assert (files.certificate, files.key, files.client_ca) == (Path("c"), Path("k"), None)
    assert Settings(port=0, grpc_port=0).grpc_port == 0
