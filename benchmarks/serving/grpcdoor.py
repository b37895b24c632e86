"""Compares gRPC with REST and with an empty gRPC echo: `python -m benchmarks.serving.grpcdoor`.

Each server has one core and is asked in turns by as many connections as in `make bench`. What is compared is the
processor time that a request costs the server, which says more than rates where other work shares the machine.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np

from chainzrule.service.artifact.card import parse_card
from chainzrule.service.grpc.messages import INFERENCE, message
from chainzrule.service.grpc.server import options

MODELS = Path(__file__).parents[2] / "models"
METHOD = f"/{INFERENCE}/ModelInfer"
REQUEST = message("inference.ModelInferRequest")
WORKLOADS = {"W1": ("breast-cancer", 1, 32), "W5": ("digits", 64, 8)}  # the model, rows and connections
Ask = Callable[[], Awaitable[Any]]
Process = subprocess.Popen[bytes]


def rows(model: str, count: int) -> np.ndarray:
    golden = parse_card((MODELS / model / "1" / "card.json").read_bytes()).golden.features
    found = np.frombuffer(golden.raw, "<f4").reshape(golden.shape)
    return np.resize(found, (count, found.shape[1]))


def by_grpc(model: str, values: np.ndarray) -> bytes:
    tensor = {"name": "features", "datatype": "FP32", "shape": values.shape}
    return REQUEST(model_name=model, inputs=[tensor], raw_input_contents=[values.tobytes()]).SerializeToString()


def by_rest(model: str, values: np.ndarray) -> tuple[bytes, dict[str, str]]:
    if len(values) == 1:
        document = {"model": model, "instances": values.astype(float).tolist()}
        return json.dumps(document).encode(), {"Content-Type": "application/json"}
    tensor = {"name": "features", "datatype": "FP32", "shape": values.shape}
    tensor["parameters"] = {"binary_data_size": values.nbytes}
    header = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(header))}
    return header + values.tobytes(), headers


async def echo(port: int, answer: bytes) -> None:
    """Serves the ceiling: a method that reads the message and answers as many bytes as the service would."""

    async def handle(request: bytes, _: Any) -> bytes:
        return answer

    server = grpc.aio.server(options=options(2**23))
    methods = {"ModelInfer": grpc.unary_unary_rpc_method_handler(handle)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(INFERENCE, methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def seconds(process: Process) -> float:
    """The processor time that a process has had, by Linux's own account."""
    parts = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


async def cost(process: Process, asks: list[Ask], duration: float) -> tuple[float, float]:
    """The processor milliseconds that a request costs a server, and the requests a second."""
    end, count = time.perf_counter() + duration, 0

    async def load(ask: Ask) -> None:
        nonlocal count
        while time.perf_counter() < end:
            await ask()
            count += 1

    before, begin = seconds(process), time.perf_counter()
    await asyncio.gather(*map(load, asks))
    return 1000 * (seconds(process) - before) / count, count / (time.perf_counter() - begin)


def start(core: int, *command: str) -> Process:
    process = subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.DEVNULL)
    os.sched_setaffinity(process.pid, [core])
    return process


async def ready(http: int, ports: list[int]) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(300):
            try:
                if (await client.get(f"http://127.0.0.1:{http}/readyz")).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    for port in ports:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await asyncio.wait_for(channel.channel_ready(), 30)


async def compare(rounds: int, duration: float, port: int) -> dict[str, Any]:
    *_, core = sorted(os.sched_getaffinity(0))
    http, door = port, port + 1
    service = start(core, "chainzrule", "serve", "--port", str(http), "--grpc-port", str(door), "--threads", "1")
    started, found = [service], {}
    try:
        await ready(http, [door])
        for at, (name, (model, count, connections)) in enumerate(WORKLOADS.items()):
            values = rows(model, count)
            asked, (body, headers) = by_grpc(model, values), by_rest(model, values)
            path = "/predict" if count == 1 else f"/v2/models/{model}/infer"
            local = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http}", timeout=60) as client:
                channels = [grpc.aio.insecure_channel(f"127.0.0.1:{door}", local) for _ in range(connections)]
                size = len(await channels[0].unary_unary(METHOD)(asked))
                bare = port + 2 + at
                started.append(start(core, "benchmarks.serving.grpcdoor", "--echo", str(bare), "--bytes", str(size)))
                await ready(http, [bare])
                others = [grpc.aio.insecure_channel(f"127.0.0.1:{bare}", local) for _ in range(connections)]
                ways: dict[str, tuple[Process, list[Ask]]] = {
                    "grpc": (service, [partial(one.unary_unary(METHOD), asked) for one in channels]),
                    "rest": (service, [partial(client.post, path, content=body, headers=headers)] * connections),
                    "echo": (started[-1], [partial(one.unary_unary(METHOD), asked) for one in others]),
                }
                measured: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
                for _ in range(rounds):
                    for way, (process, asks) in ways.items():
                        measured[way].append(await cost(process, asks, duration))
                for channel in (*channels, *others):
                    await channel.close()
            found[name] = {
                way: {
                    "processor_ms": statistics.median(one for one, _ in each),
                    "requests_per_second": statistics.median(one for _, one in each),
                }
                for way, each in measured.items()
            }
    finally:
        for process in started:
            process.terminate()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--port", type=int, default=8350)
    parser.add_argument("--echo", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--bytes", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.echo:
        asyncio.run(echo(options.echo, bytes(options.bytes)))
        return
    first, *_ = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, [first])
    found = asyncio.run(compare(options.rounds, options.seconds, options.port))
    for name, ways in found.items():
        bare = ways["echo"]["processor_ms"]
        for way, figures in ways.items():
            share = bare / figures["processor_ms"]
            print(f"{name} {way}: {figures['processor_ms']:.3f} ms a request, {share:.2f} of the echo")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
