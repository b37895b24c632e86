"""Decides which headers of a request are refused before anything of it is answered, and words the refusal."""

from collections.abc import Iterable, Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

HEADERS = 128  # the most that a request may have
# The headers that say where a message ends, whom it is for, and whether the client waits before it sends the body.
FRAMING = frozenset((b"transfer-encoding", b"host", b"expect"))
NOT_HTTP = (400, "Invalid HTTP request received.")
TOO_LARGE = (400, "The request's header is too large.")
CHUNKS_TOO_SMALL = (400, "The body's chunks hold too little; send larger ones.")

Fault = tuple[int, str]


def fault_of(parser: Any, headers: int, hosts: int, encodings: Sequence[bytes]) -> Fault | None:
    """Returns the status and the reason with which a whole header is refused; None where it is not.

    Proxies and servers that read such a header differently would disagree on where the next request begins.

    Args:
        parser: the parser that has just read the header.
        headers: how many headers it has.
        hosts: how many of them name the host.
        encodings: the transfer encodings, one for each header that has them.
    """
    if headers > HEADERS:
        return 400, "The request has too many headers."
    if encodings and (len(encodings) > 1 or encodings[0].lower() != b"chunked"):
        return 501, "The only transfer encoding that is understood is chunked."
    if hosts != 1 and (hosts or parser.get_http_version() != "1.0"):
        return 400, "A request has exactly one Host header."
    if parser.should_upgrade() and parser.get_method() == b"CONNECT":
        return 405, "This is no proxy: CONNECT is not answered."
    return None


def refusal(fault: Fault, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Returns an answer in plain text, with the headers that every answer has; the connection closes behind it."""
    status, reason = fault
    body = reason.encode()
    lines = [STATUS_LINE[status], *(b"%b: %b\r\n" % header for header in headers)]
    if status == 405:
        lines.append(b"allow: GET, HEAD, POST\r\n")
    lines.append(b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(body))
    return b"".join((*lines, b"connection: close\r\n\r\n", body))
