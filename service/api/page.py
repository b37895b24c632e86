"""Serves the playground's files, which are read once: `GET /` is the page, `GET /ui/...` what it loads."""

import gzip
import hashlib
import html
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from starlette.responses import Response

from chainzrule.service.api.incoming import Answer, Headers, Incoming
from chainzrule.service.api.problems import problem
from chainzrule.service.api.route import Endpoint
from chainzrule.service.stability.verdict import Thresholds

FOLDER = Path(__file__).parents[1] / "ui"
PAGE = "index.html"
# The page may call no other server than this one, and run no scripts but its own files.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
_COMMON: Headers = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),  # browsers ask again each time, and get 304 while nothing has changed
    (b"vary", b"accept-encoding"),
)
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}


@dataclass(frozen=True)
class _File:
    content: bytes
    packed: bytes
    content_type: bytes
    tag: bytes

    @classmethod
    def of(cls, content: bytes, content_type: bytes) -> "_File":
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        return cls(content, gzip.compress(content, mtime=0), content_type, tag.encode())

    def answer(self, request: Incoming) -> Response:
        headers = (*_COMMON, (b"etag", self.tag))
        if self.tag.decode() in (request.header(b"if-none-match") or ""):
            return Answer(b"", 304, self.content_type, headers)
        if "gzip" in (request.header(b"accept-encoding") or ""):
            return Answer(self.packed, 200, self.content_type, (*headers, (b"content-encoding", b"gzip")))
        return Answer(self.content, 200, self.content_type, headers)


def page_endpoints(root_path: str, thresholds: Thresholds) -> tuple[Endpoint, Endpoint]:
    """Returns the endpoints of `/` and of `/ui/{file}`.

    Args:
        root_path: the path prefix under which a proxy serves the application.
        thresholds: the thresholds of this service's verdicts, which the page explains.
    """
    files = {
        path.relative_to(FOLDER).as_posix(): _File.of(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in _TYPES
    }
    document = files.pop(PAGE)
    page_file = _File.of(_filled(document.content, root_path, thresholds), document.content_type)

    async def page(request: Incoming) -> Response:
        """The playground: try a model, and watch how stable its answers are."""
        return page_file.answer(request)

    async def page_part(request: Incoming) -> Response:
        """What the playground loads."""
        file = files.get(request.path_params["file"])
        if file is None:
            return problem(404, "unknown-route", "there is nothing at this path; GET /docs lists the routes")
        return file.answer(request)

    return page, page_part


def _filled(page: bytes, root_path: str, thresholds: Thresholds) -> bytes:
    """Returns the page with this service's settings, in elements, because its policy forbids inline scripts."""
    # All addresses in the page are relative to this base, so that they work with and without the prefix's final slash.
    base = f'<base href="{html.escape(root_path.rstrip("/"))}/">' if root_path.strip("/") else ""
    stated = f'<meta name="thresholds" content="{html.escape(json.dumps(asdict(thresholds)))}">'
    return page.replace(b"<!-- base -->", base.encode()).replace(b"<!-- thresholds -->", stated.encode())
