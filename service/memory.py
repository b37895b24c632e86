"""Controls what the C library does with memory that the process has freed."""

import asyncio
import contextlib
import ctypes
import os
from typing import Any

from chainzrule.service.budget import Budget

# These are mallopt's parameters, from glibc's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
TRIM_SECONDS = 1.0
KEPT_BYTES = 2**25  # glibc accepts no larger value as the mmap threshold


def keep_freed_memory() -> None:
    """Keeps the memory of freed arrays for reuse, up to `KEPT_BYTES`, instead of returning it to the kernel.

    By default glibc maps memory for every larger array and unmaps it afterwards. The kernel then clears each page on
    its first use, which was a sixth of the processor time of a request with 64 images. Nothing is changed where the
    environment configures malloc itself, or where the C library is not glibc.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    with contextlib.suppress(AttributeError):
        _libc().mallopt(_MMAP_THRESHOLD, KEPT_BYTES)
        _libc().mallopt(_TRIM_THRESHOLD, KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Returns the memory that is free now to the kernel, for example what only the start-up needed."""
    with contextlib.suppress(AttributeError):
        _libc().malloc_trim(0)


async def give_back_after_bursts(budget: Budget) -> None:
    """Returns free memory to the kernel whenever requests hold far less than they did, until it is cancelled.

    A thread does it, because it takes milliseconds. In usual traffic what is held changes too little for it to happen.
    """
    while True:
        await asyncio.sleep(TRIM_SECONDS)
        if budget.peak - budget.held > KEPT_BYTES:
            budget.peak = budget.held
            await asyncio.to_thread(give_back_freed_memory)


def _libc() -> Any:
    return ctypes.CDLL(None)
