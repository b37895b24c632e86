"""Large answers that nobody reads, with and without encryption: they are let go of, and the memory comes back."""

import asyncio
import socket
import ssl
import time
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.chaos.abuse import jacobians, post
from tests.chaos.memory import watched_memory
from tests.processes import ROOT, service

pytestmark = [pytest.mark.chaos, pytest.mark.anyio]

CLIENTS = 60
SECONDS = 12.0
MOST_MEMORY = 400.0  # megabytes
LEFT = 100.0  # megabytes more than before, once the clients are gone


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def never_reading(port: int, context: ssl.SSLContext | None) -> asyncio.StreamWriter:
    """A client that has asked for four megabytes."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    name = "localhost" if context else None
    _, writer = await asyncio.open_connection(sock=connection, ssl=context, server_hostname=name, limit=1024)
    assert isinstance(writer.transport, asyncio.Transport)
    writer.transport.pause_reading()
    writer.write(post(jacobians(), path="/sensitivity"))
    return writer


@pytest.mark.parametrize("encrypted", [False, True])
async def test_answers_that_nobody_reads_are_let_go_of(encrypted: bool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    context = ssl.create_default_context(cafile=authority.certificate) if encrypted else None
    trusted = authority.certificate if encrypted else None
    flags = ["--tls-certificate", str(certificate), "--tls-key", str(key)] if encrypted else []
    with service(ROOT / "models", *flags, authority=trusted) as (address, process):
        port = int(address.rpartition(":")[2])
        with watched_memory(process.pid) as memory:
            before = memory.now()
            writers = [await never_reading(port, context) for _ in range(CLIENTS)]
            await asyncio.sleep(SECONDS)
            opened = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
            for writer in writers:
                writer.transport.abort()
            end = time.monotonic() + 20
            while memory.now() > before + LEFT and time.monotonic() < end:
                await asyncio.sleep(0.2)
            after = memory.now()
    print(f"\nencrypted: {encrypted}; {before:.0f} MB, then at most {memory.peak:.0f}, with {opened} files open")
    print(f"{after:.0f} MB once the clients are gone")
    assert memory.peak < MOST_MEMORY
    assert after <= before + LEFT
