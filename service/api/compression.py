"""Compresses large answers where the client accepts that."""

import gzip

from chainzrule.service.api.incoming import Answer

WORTHWHILE_BYTES = 1400  # smaller answers fit into one packet anyway
_LEVEL = 4  # most of what higher levels reach, in a fraction of their time


def accepts_gzip(accepted: str | None) -> bool:
    """Returns whether a client takes an answer that is compressed by gzip, by its header Accept-Encoding."""
    for offered in (accepted or "").lower().split(","):
        coding, _, weight = offered.replace(" ", "").partition(";q=")
        if coding in ("gzip", "*"):
            return weight.strip("0.") != "" or weight == ""
    return False


def packed(content: bytes, content_type: bytes, compress: bool) -> Answer:
    """Returns an answer, compressed where that is wanted and worthwhile; it takes milliseconds for each megabyte."""
    vary = (b"vary", b"accept-encoding")
    if not compress or len(content) < WORTHWHILE_BYTES:
        return Answer(content, 200, content_type, (vary,))
    content = gzip.compress(content, _LEVEL, mtime=0)
    return Answer(content, 200, content_type, (vary, (b"content-encoding", b"gzip")))
