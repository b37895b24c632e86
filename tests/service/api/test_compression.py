"""Large answers are compressed for those who accept that."""

import gzip

import pytest

from chainzrule.service.api.compression import WORTHWHILE_BYTES, accepts_gzip, packed


@pytest.mark.parametrize(
    ("accepted", "compress"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("deflate, *", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("gzip;q=1.0", True),
    ],
)
def test_who_accepts_it(accepted: str | None, compress: bool) -> None:
    assert accepts_gzip(accepted) == compress


def test_only_what_is_large_and_wanted_is_compressed() -> None:
    large, small = b"x" * WORTHWHILE_BYTES, b"x"
    for content, compress in ((large, False), (small, True), (small, False)):
        answer = packed(content, b"text/plain", compress)
        assert answer.body == content
        assert "content-encoding" not in answer.headers
        assert answer.headers["vary"] == "accept-encoding"
    answer = packed(large, b"text/plain", True)
    assert gzip.decompress(answer.body) == large
    assert len(answer.body) < 100
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["content-type"] == "text/plain"
