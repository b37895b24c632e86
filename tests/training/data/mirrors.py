"""A mirror to download from: a real HTTP server on the loopback."""

import contextlib
import http.server
import threading
from typing import Any


class Mirror:
    """Serves `answers`, bodies with the length they declare by path; `asked` are the paths that were asked for."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[bytes, int]] = {}
        self.asked: list[str] = []
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                body, declared = mirror.answers.get(self.path, (None, 0))
                self.send_response(404 if body is None else 200)
                if body is not None:
                    self.send_header("Content-Length", str(declared))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # who asks may go before the end
                    self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def url(self, folder: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{folder}/"

    def put(self, folder: str, name: str, body: bytes, declared: int | None = None) -> None:
        self.answers[f"/{folder}/{name}"] = (body, len(body) if declared is None else declared)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
