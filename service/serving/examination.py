"""Examines one model version in a process of its own, which may hang, explode or crash without harm to others."""

import contextlib
import ctypes
import json
import os
import re
import resource
import signal
import socket
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from chainzrule.service.artifact.listing import StoredVersion
from chainzrule.service.errors import ArtifactError
from chainzrule.service.runtime.graph import Execution
from chainzrule.service.serving.load import open_artifact
from chainzrule.service.stability.verdict import Thresholds

NICENESS = 10  # the processor goes to requests first
_NO_MEMORY = re.compile("bad_alloc|[Ff]ailed to allocate")  # as ONNX Runtime says it
_DIE_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Order:
    """Says which version is to be examined, and within what limits.

    Attributes:
        name: the model's name.
        version: the version's number.
        path: the version's directory.
        seconds: the longest time that the examination may take.
        memory: the bytes of address space that it may take beyond the bare process.
    """

    name: str
    version: str
    path: str
    seconds: float
    memory: int

    def encode(self) -> bytes:
        """Returns the order as one message."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def decode(message: bytes) -> "Order":
        """Returns the order that `encode` made a message of."""
        return Order(**json.loads(message))


def examine(stored: StoredVersion) -> str:
    """Loads, checks and warms up a version as the service does, with its bounds graph; returns its digest.

    It runs on the CPU with one thread, whatever the service runs on.

    Raises:
        ArtifactError: the version must not be served.
    """
    artifact = stored.read()
    opened = open_artifact(artifact, Execution("cpu", threads=1), Thresholds())
    if opened.bounds is not None:
        opened.bounds.open(golden_rows=1)  # the others take half a second where the inputs are many
    return artifact.digest


def undergo(order: Order, answer: socket.socket, output: int, parent: int) -> None:
    """Examines a version in this process, which the limits then hold for, and sends what was found.

    Args:
        order: the version and the limits.
        answer: the socket to which the finding is sent, as one line of JSON: `digest`, or `refused` with `place`.
        output: a file descriptor, to which goes whatever is printed.
        parent: the process with which this one ends.
    """
    with contextlib.suppress(OSError, AttributeError):  # only Linux has it
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before this process could ask to end with it
        return
    os.dup2(output, 1)
    os.dup2(output, 2)
    _limit(order.memory)
    finding: dict[str, str | None]
    try:
        finding = {"digest": examine(StoredVersion(order.name, order.version, Path(order.path)))}
    except BaseException as error:
        finding = _refusal(error, order.memory)
    answer.sendall(json.dumps(finding).encode() + b"\n")


def _limit(memory: int) -> None:
    """Limits this process in memory, and lets all others go before it; when memory is short it is the first to go."""
    os.nice(NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _refusal(error: BaseException, memory: int) -> dict[str, str | None]:
    if any(isinstance(cause, MemoryError) or _NO_MEMORY.search(str(cause)) for cause in _chain(error)):
        return {"refused": f"takes more memory to load and check than the {memory} bytes that max_load_bytes admits"}
    if isinstance(error, ArtifactError):
        return {"refused": error.detail, "place": error.place}
    os.write(2, "".join(traceback.format_exception(error)).encode(errors="replace"))
    return {"refused": f"unexpected {type(error).__name__}; see the log"}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
