"""A real HAProxy that is configured as shipped, but for names and ports: there is no name server on loopback."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.deploy.monitoring import await_that
from tests.processes import ROOT, free_port

CONFIG = (ROOT / "deploy" / "proxy" / "haproxy.cfg").read_text(encoding="utf-8")
TEMPLATE = "server-template replica 16 service:8000 resolvers containers resolve-prefer ipv4 init-addr none"


@contextlib.contextmanager
def haproxy(folder: Path, replicas: Sequence[int]) -> Iterator[str]:
    """The address of a proxy before the replicas on these ports, once it answers; skips where there is no HAProxy."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("haproxy is not installed (Debian: apt-get install haproxy)")
    port = free_port()
    text = re.sub(r"^resolvers containers\n(?: .*\n)+", "", CONFIG, flags=re.MULTILINE)
    template = next(line for line in text.splitlines() if TEMPLATE in line)
    servers = [template.replace(TEMPLATE, f"server replica{at} 127.0.0.1:{at}") for at in replicas]
    text = text.replace(template, "\n".join(servers))
    text = text.replace("bind :8000", f"bind 127.0.0.1:{port}").replace("127.0.0.1:8404", f"127.0.0.1:{free_port()}")
    (folder / "haproxy.cfg").write_text(text)
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([program, "-f", folder / "haproxy.cfg"], stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        await_that(lambda: process.poll() is not None or _answers(address), 10, "the proxy answers")
        assert process.poll() is None, (folder / "haproxy.log").read_text()
        yield address
    finally:
        process.kill()
        process.wait(timeout=10)


def _answers(address: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{address}/healthz", timeout=5).status_code == 200
    return False
