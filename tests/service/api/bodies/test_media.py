"""Content types and encodings."""

import pytest

from chainzrule.service.api.bodies.media import require_json, window_bits
from chainzrule.service.errors import UnsupportedMedia
from tests.service.api.test_incoming import incoming


def test_json_is_required() -> None:
    curl = b"application/x-www-form-urlencoded"  # which no page can send as far as here
    for spelling in (b"application/json", b" Application/JSON ; charset=utf-8", curl):
        require_json(incoming([(b"content-type", spelling)]))
    for headers in ([], [(b"content-type", b"text/json")], [(b"content-type", b"multipart/form-data")]):
        with pytest.raises(UnsupportedMedia) as caught:
            require_json(incoming(headers))
        assert caught.value.place == "Content-Type"


@pytest.mark.parametrize(
    ("header", "bits"), [(b"gzip", 31), (b"x-gzip", 31), (b" GZIP ", 31), (b"deflate", 47), (b"identity", None)]
)
def test_encodings_are_known_by_name(header: bytes, bits: int | None) -> None:
    assert window_bits(incoming([(b"content-encoding", header)])) == bits


def test_other_encodings_are_refused() -> None:
    assert window_bits(incoming()) is None
    for header in (b"br", b"gzip, gzip"):
        with pytest.raises(UnsupportedMedia) as caught:
            window_bits(incoming([(b"content-encoding", header)]))
        assert caught.value.place == "Content-Encoding"
