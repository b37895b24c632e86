"""Freed memory is used again, as seen by the kernel's count of pages that it had to provide."""

import asyncio
import platform
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from chainzrule.service import memory
from chainzrule.service.budget import Budget, Holding
from chainzrule.service.memory import KEPT_BYTES, give_back_after_bursts, give_back_freed_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tells glibc what to do")

PAGES = 2**21 // resource.getpagesize()  # of one array, larger than what glibc keeps by itself at first


def pages_a_round(prepare: str, **environment: str) -> float:
    program = f"""
        import resource
        import numpy as np
        from chainzrule.service.memory import keep_freed_memory
        {prepare}
        def touch():
            np.ones(2**21, np.uint8), np.ones(2**21, np.uint8)
        touch()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            touch()
        print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_arrays_that_come_and_go_take_no_new_pages() -> None:
    assert pages_a_round("") > PAGES
    assert pages_a_round("keep_freed_memory()") < PAGES / 10


def test_what_the_environment_says_of_memory_stands() -> None:
    assert pages_a_round("keep_freed_memory()", MALLOC_TRIM_THRESHOLD_="0") > PAGES


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_memory_that_lies_free_is_given_back() -> None:
    kept = [np.ones(2**14, np.uint8) for _ in range(KEPT_BYTES // 2**14)]
    last = np.ones(2**14, np.uint8)  # keeps the heap from ending where the others did
    full = resident()
    del kept
    give_back_freed_memory()
    assert full - resident() > KEPT_BYTES / 2
    assert last.all()


@pytest.mark.anyio
async def test_memory_is_given_back_after_a_burst_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "TRIM_SECONDS", 0.01)
    budget = Budget(4 * KEPT_BYTES)
    holding = Holding(budget)
    duty = asyncio.create_task(give_back_after_bursts(budget))
    kept = [np.ones(2**14, np.uint8) for _ in range(KEPT_BYTES // 2**14)]
    last = np.ones(2**14, np.uint8)
    holding.resize(KEPT_BYTES)
    holding.resize(0)  # no more than is kept anyway
    del kept
    full = resident()
    await asyncio.sleep(0.1)
    assert budget.peak == KEPT_BYTES
    holding.resize(KEPT_BYTES + 1)
    holding.release()
    async with asyncio.timeout(20):
        while full - resident() <= KEPT_BYTES / 2:
            await asyncio.sleep(0.01)
    assert budget.peak == 0
    assert last.all()
    duty.cancel()
