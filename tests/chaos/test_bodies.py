"""Bodies that are small to send and large to read: the server refuses them cheaply, and its memory stays bounded."""

import asyncio
import contextlib
import gzip
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.processes import ROOT, service

pytestmark = [pytest.mark.chaos, pytest.mark.anyio]

MIB = 2**20
MODELS = ROOT / "models"
GZIP = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
JSON = {"Content-Type": "application/json"}
ROW = {"model": "breast-cancer", "instances": [[1.0] * 30]}
MOST_MIB = 400
SECONDS = (
    30.0  # generous, as the machine may be busy; before, the first of these bodies alone stopped a server for longer
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def objects(size: int) -> bytes:
    """A compressed body of many small objects and one escaped mark, which made it be parsed twice."""
    head, item = b'{"model":"\\"","instances":[', b'{"a":0}'
    return gzip.compress(head + b",".join([item] * ((size - len(head)) // (len(item) + 1))) + b"]}")


class Sampler:
    """Watches a process's resident memory."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/status")
        self.peak = self.now()

    def now(self) -> float:
        """Resident memory in MiB."""
        line = next(line for line in self._path.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    async def watch(self) -> None:
        while True:
            self.peak = max(self.peak, self.now())
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def watched(*flags: str) -> AsyncIterator[tuple[httpx.AsyncClient, int, Sampler]]:
    """A server: a client of it, its port, and a sampler that watches its memory meanwhile."""
    with service(MODELS, *flags) as (address, process):
        sampler = Sampler(process.pid)
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=address, timeout=SECONDS, limits=limits) as client:
            watching = asyncio.create_task(sampler.watch())
            try:
                yield client, int(address.rpartition(":")[2]), sampler
            finally:
                watching.cancel()


async def unfinished(port: int, body: bytes, *headers: str) -> asyncio.StreamWriter:
    """A request of which all but the last byte has been sent, or as much as the server took."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = ["POST /predict HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers]
    writer.write("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body[:-1])
    return writer


@pytest.mark.parametrize(("size", "count"), [(MIB, 100), (8 * MIB, 24)])
async def test_compressed_objects_are_refused_cheaply(size: int, count: int) -> None:
    body = objects(size)
    assert len(body) < size / 500
    async with watched() as (client, _, sampler):
        begin = time.monotonic()
        answers = await asyncio.gather(*(client.post("/predict", content=body, headers=GZIP) for _ in range(count)))
        assert {answer.status_code for answer in answers} == {413}
        assert time.monotonic() - begin < SECONDS
        assert (await client.post("/predict", json=ROW)).status_code == 200
        assert sampler.peak < 200


async def test_the_deadline_holds_while_bodies_wait_to_be_parsed() -> None:
    values = b'{"model":"digits","instances":[' + b",".join([b"[" + b",".join([b"0.5"] * 784) + b"]"] * 2000) + b"]}"
    async with watched() as (client, _, _):
        begin = time.monotonic()
        headers = {**JSON, "X-Request-Timeout": "0.01"}
        answers = await asyncio.gather(*(client.post("/predict", content=values, headers=headers) for _ in range(8)))
        assert {answer.status_code for answer in answers} <= {503, 504}
        assert time.monotonic() - begin < SECONDS


@pytest.mark.parametrize("packed", [False, True])
async def test_unfinished_uploads_hold_little_and_keep_nobody_out(packed: bool) -> None:
    body = objects(8 * MIB) if packed else b" " * 8 * MIB
    async with watched() as (client, port, sampler):
        headers = ["Content-Encoding: gzip"] if packed else []
        writers = [await unfinished(port, body, *headers) for _ in range(150)]
        for _ in range(20):
            assert (await client.post("/predict", json=ROW)).status_code == 200
            await asyncio.sleep(0.1)
        large = b" " * 4 * MIB + b'{"model":"breast-cancer","instances":[[' + b",".join([b"1"] * 30) + b"]]}"
        assert (await client.post("/predict", content=large, headers=JSON)).status_code == 200
        for writer in writers:
            writer.close()
        assert sampler.peak < MOST_MIB


async def test_memory_comes_back_after_a_burst() -> None:
    async with watched() as (client, _, sampler):
        assert (await client.post("/predict", json=ROW)).status_code == 200
        before = sampler.now()
        turns = asyncio.Semaphore(30)

        async def upload() -> int | None:
            async with turns:
                with contextlib.suppress(httpx.TransportError):  # an upload that was ended while it was being sent
                    return (await client.post("/predict", content=b" " * (8 * MIB - 2), headers=JSON)).status_code
            return None

        assert {await answer for answer in asyncio.as_completed([upload() for _ in range(150)])} <= {400, 503, None}
        assert sampler.peak < MOST_MIB
        deadline = time.monotonic() + 20
        while sampler.now() > before + 35 and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        assert sampler.now() <= before + 35
