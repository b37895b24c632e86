"""Reads the content type and the content encoding of a body."""

from chainzrule.service.api.incoming import FORM, JSON, Incoming
from chainzrule.service.errors import UnsupportedMedia

# These are zlib's window bits: 16 + 15 reads gzip, 32 + 15 reads gzip and zlib.
ENCODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 47}


def require_json(request: Incoming) -> None:
    """Raises `UnsupportedMedia` where the content type is not JSON, nor the one that curl gives it.

    Forms of pages never come here: `access.crosssite` refuses them.
    """
    if request.media_type not in (JSON, FORM):
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
