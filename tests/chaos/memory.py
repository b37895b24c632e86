"""The resident memory of a process, sampled while a block runs."""

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

MEGABYTE = 1e6
PAUSE = 0.05  # seconds between two samples


class Resident:
    """Resident memory in megabytes: each sample in turn."""

    def __init__(self, pid: int) -> None:
        self.samples: list[float] = []
        self._pid = pid

    def now(self) -> float:
        """The memory at this moment; 0 where the process has ended."""
        with contextlib.suppress(OSError):
            found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self._pid}/status").read_text())
            return int(found[1]) * 1024 / MEGABYTE if found else 0.0
        return 0.0

    def watch(self, over: threading.Event) -> None:
        """Until told to stop."""
        while not over.wait(PAUSE):
            self.samples.append(self.now())

    @property
    def peak(self) -> float:
        """The largest sample."""
        return max(self.samples, default=0.0)


@contextlib.contextmanager
def watched_memory(pid: int) -> Iterator[Resident]:
    """The memory of a process while the block runs."""
    resident = Resident(pid)
    over = threading.Event()
    thread = threading.Thread(target=resident.watch, args=(over,), daemon=True)
    thread.start()
    try:
        yield resident
    finally:
        over.set()
        thread.join(5)
