"""Sends load by wrk, pinned to a core of its own."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
local file = io.open({body!r}, "rb")
wrk.method = "POST"
wrk.body = file:read("*all")
file:close()
{headers}
done = function(summary, latency, requests)
  local e = summary.errors
  io.stderr:write(string.format(
    '{{"requests": %d, "seconds": %f, "failed": %d, "p50": %f, "p99": %f}}',
    summary.requests, summary.duration / 1e6,
    e.status + e.connect + e.read + e.write + e.timeout,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
"""


@dataclass(frozen=True)
class Load:
    """Holds what one round of load measured; times in seconds."""

    rate: float
    p50: float
    p99: float
    failed: int


def load(url: str, body: bytes, headers: dict[str, str], connections: int, seconds: int, core: str) -> Load:
    """Sends `body` over and over for `seconds`, and returns what wrk measured."""
    with tempfile.TemporaryDirectory() as folder:
        content = Path(folder) / "body"
        content.write_bytes(body)
        script = Path(folder) / "load.lua"
        lines = "\n".join(f"wrk.headers[{name!r}] = {value!r}" for name, value in headers.items())
        script.write_text(SCRIPT.format(body=str(content), headers=lines))
        command = [
            "taskset",
            "-c",
            core,
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "-s",
            str(script),
            url,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True)
    seen = json.loads(done.stderr.strip().splitlines()[-1])
    return Load(seen["requests"] / seen["seconds"], seen["p50"], seen["p99"], int(seen["failed"]))
