"""Reads the content type and the content encoding of a body."""

from chainzrule.service.api.incoming import Incoming
from chainzrule.service.errors import UnsupportedMedia

JSON = "application/json"
OCTETS = "application/octet-stream"
# These are zlib's window bits: 16 + 15 reads gzip, 32 + 15 reads gzip and zlib.
ENCODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 47}


def media_type(request: Incoming) -> str:
    """Returns the content type without its parameters, in lower case; empty where there is none."""
    return (request.header(b"content-type") or "").partition(";")[0].strip().lower()


def require_json(request: Incoming) -> None:
    """Raises `UnsupportedMedia` where the content type is not JSON."""
    if media_type(request) != JSON:
        raise UnsupportedMedia("send JSON with Content-Type: application/json", "Content-Type")


def window_bits(request: Incoming) -> int | None:
    """Returns the window bits with which zlib decompresses the body; None where it is not compressed.

    Raises:
        UnsupportedMedia: the encoding is neither gzip nor deflate.
    """
    encoding = (request.header(b"content-encoding") or "identity").strip().lower()
    if encoding == "identity":
        return None
    if encoding not in ENCODINGS:
        raise UnsupportedMedia("the content encoding must be gzip, deflate or none", "Content-Encoding")
    return ENCODINGS[encoding]
