"""Serves the pages' files, which are read once.

`GET /` is the playground and `GET /ui/...` what it loads; `GET /docs` is the API's page and `GET /docs/...` what it
loads. Neither loads anything from elsewhere, so that both work offline, and no other server can reach the token that
people enter on them.
"""

import gzip
import hashlib
import html
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from starlette.responses import Response

from chainzrule.service.api.incoming import Answer, Headers, Incoming
from chainzrule.service.api.problems import problem
from chainzrule.service.api.route import Endpoint
from chainzrule.service.stability.verdict import Thresholds

FOLDER = Path(__file__).parents[1] / "ui"
PAGE = "index.html"
DOCS = "docs.html"
# Where there is no playground, the API's page still has its own files.
DOCS_PARTS = ("docs.js", "api.js", "dom.js", "theme.js", "style.css", "icon.svg")
# A page may call no other server than this one, and run no scripts but its own files.
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
    names = [path.relative_to(FOLDER).as_posix() for path in sorted(FOLDER.rglob("*")) if path.suffix in _TYPES]
    stated = f'<meta name="thresholds" content="{html.escape(json.dumps(asdict(thresholds)))}">'
    page_file = _filled(PAGE, root_path, stated)
    part = _parts(name for name in names if not name.endswith(".html"))

    async def page(request: Incoming) -> Response:
        """The playground: try a model, and watch how stable its answers are."""
        return page_file.answer(request)

    return page, part


def docs_endpoints(root_path: str) -> tuple[Endpoint, Endpoint]:
    """Returns the endpoints of `/docs` and of `/docs/{file}`; `root_path` is as for `page_endpoints`."""
    docs_file = _filled(DOCS, root_path)

    async def docs(request: Incoming) -> Response:
        """The API's page: every route with what it takes and answers."""
        return docs_file.answer(request)

    return docs, _parts(DOCS_PARTS)


def _parts(names: Iterable[str]) -> Endpoint:
    """Returns an endpoint that serves the files of these names."""
    files = {name: _File.of((FOLDER / name).read_bytes(), _TYPES[Path(name).suffix]) for name in names}

    async def part(request: Incoming) -> Response:
        """What a page loads."""
        file = files.get(request.path_params["file"])
        if file is None:
            return problem(404, "unknown-route", "there is nothing at this path; GET /docs lists the routes")
        return file.answer(request)

    return part


def _filled(name: str, root_path: str, stated: str = "") -> _File:
    """Returns a page with this service's settings, in elements, because its policy forbids inline scripts."""
    # All addresses in the page are relative to this base, so that they work with and without the prefix's final slash.
    base = f'<base href="{html.escape(root_path.rstrip("/"))}/">' if root_path.strip("/") else ""
    page = (FOLDER / name).read_bytes()
    filled = page.replace(b"<!-- base -->", base.encode()).replace(b"<!-- thresholds -->", stated.encode())
    return _File.of(filled, _TYPES[".html"])
