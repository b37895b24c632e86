"""Content types and encodings."""

import pytest

from chainzrule.service.api.bodies.media import media_type, require_json, window_bits
from chainzrule.service.errors import UnsupportedMedia
from tests.service.api.test_incoming import incoming


@pytest.mark.parametrize(
    ("header", "found"),
    [(b"application/json", "application/json"), (b" Application/JSON ; charset=utf-8", "application/json"), (b"", "")],
)
def test_the_type_is_read_without_its_parameters(header: bytes, found: str) -> None:
    assert media_type(incoming([(b"content-type", header)])) == found


def test_json_is_required() -> None:
    require_json(incoming([(b"content-type", b"application/json")]))
    for headers in ([], [(b"content-type", b"text/json")], [(b"content-type", b"application/x-www-form-urlencoded")]):
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
