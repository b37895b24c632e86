"""Real servers: `chainzrule serve` as a process of its own."""

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def service(
    models: Path,
    *flags: str,
    port: int | None = None,
    log: Path | None = None,
    patience: float = 30,
    authority: Path | None = None,
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A server on loopback: its address, once ready, and its process; stopped on the way out.

    Without a file for its log, the log is a pipe that nobody reads before the end. With an authority, it is asked by
    HTTPS.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "chainzrule", "serve", "--models", str(models), "--port", str(port), *flags]
    address = f"{'http' if authority is None else 'https'}://127.0.0.1:{port}"
    with contextlib.ExitStack() as opened:
        output = subprocess.PIPE if log is None else opened.enter_context(log.open("ab"))
        process = subprocess.Popen(command, cwd=ROOT, stderr=output, env=os.environ)
        try:
            await_ready(address, process, patience, authority)
            yield address, process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=30)


def await_ready(
    address: str, process: "subprocess.Popen[bytes]", seconds: float = 30, authority: Path | None = None
) -> None:
    """Wait until `/readyz` is 200."""
    trusted: Any = True if authority is None else ssl.create_default_context(cafile=authority)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the service ended with status {process.returncode}"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/readyz", timeout=5, verify=trusted).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"not ready within {seconds} s")


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
