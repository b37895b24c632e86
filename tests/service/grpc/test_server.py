"""The server listens where it is told to, encrypts as the other door does, and closes without breaking calls."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainzrule.service.app import create_app
from chainzrule.service.errors import ServiceError
from chainzrule.service.settings import Settings
from chainzrule.service.tls import TlsFiles
from tests.artifacts import CLASSIFIER, SLOW
from tests.certificates import Authority
from tests.processes import free_port, service
from tests.service.conftest import serve

grpc = pytest.importorskip("grpc")

from chainzrule.service.grpc.messages import INFERENCE  # noqa: E402 - it needs the extra
from chainzrule.service.grpc.server import credentials  # noqa: E402
from tests.service.grpc.calls import ANSWER, REQUEST, Caller, calling, outputs, raw, refused  # noqa: E402

pytestmark = pytest.mark.anyio
ROW = raw("toy", [[1, 2]])


def test_it_is_off_unless_it_has_a_port(tmp_path: Path) -> None:
    assert create_app(Settings(models=tmp_path)).grpc is None


async def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        app = create_app(Settings(models=tmp_path, grpc_port=port))
        assert app.grpc is not None
        with pytest.raises(ServiceError, match=f"--grpc-port: cannot listen on 127.0.0.1:{port}"):
            await app.grpc.open()


async def test_calls_in_progress_are_answered_while_it_closes(tmp_path: Path) -> None:
    async with calling(tmp_path, SLOW, CLASSIFIER) as caller:
        slow = REQUEST(**raw("slow", [[2e5, 1.0]] * 2)).SerializeToString()
        pending = asyncio.ensure_future(caller.send(slow))
        for _ in range(2000):
            if caller.app.context.in_progress:
                break
            await asyncio.sleep(0.005)
        assert caller.app.grpc is not None
        closing = asyncio.create_task(caller.app.grpc.close())
        assert outputs(ANSWER.FromString(await pending))
        await closing
        with refused("UNAVAILABLE"):
            await caller.ask("ModelInfer", **ROW)


@pytest.mark.parametrize("mutual", [False, True])
async def test_it_shows_the_certificate(tmp_path: Path, mutual: bool) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    client = [path.read_bytes() for path in reversed(authority.issue("client"))]
    files = {"tls_certificate": certificate, "tls_key": key}
    if mutual:
        files["tls_client_ca"] = authority.certificate
    port = free_port()
    root = authority.certificate.read_bytes()
    named = (("grpc.ssl_target_name_override", "localhost"),)
    async with serve(tmp_path / "models", CLASSIFIER, grpc_port=port, **files) as http:
        shown = grpc.ssl_channel_credentials(root, *(client if mutual else (None, None)))
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", shown, named) as channel:
            assert (await Caller(http, channel).ask("ModelInfer", **ROW)).outputs
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with refused("UNAVAILABLE"):
                await Caller(http, channel).ask("ServerLive")
        if mutual:
            nobody = grpc.ssl_channel_credentials(root)
            async with grpc.aio.secure_channel(f"127.0.0.1:{port}", nobody, named) as channel:
                with refused("UNAVAILABLE"):
                    await Caller(http, channel).ask("ServerLive")


def test_certificates_that_are_gone_are_kept(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("localhost")
    assert credentials(TlsFiles(certificate, key, None)) is not None


def test_a_process_answers_both_ways_and_drains(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path / "models")
    port = free_port()
    flags = ("--grpc-port", str(port), "--drain-grace", "0.2")
    with (
        service(tmp_path / "models", *flags) as (_, process),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        answer = channel.unary_unary(f"/{INFERENCE}/ModelInfer")(REQUEST(**ROW).SerializeToString(), timeout=60)
        np.testing.assert_array_equal(np.shape(outputs(ANSWER.FromString(answer))["probabilities"]), (1, 3))
        stream: Any = channel.stream_stream(f"/{INFERENCE}/ModelStreamInfer")(iter(()), timeout=60)
        assert list(stream) == []
        process.terminate()
        assert process.wait(timeout=60) == 0
