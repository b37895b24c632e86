"""What the C library does with memory that the process no longer uses."""

import contextlib
import ctypes
import os
from typing import Any

# mallopt's parameters, from glibc's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
KEPT_BYTES = 2**25  # also the most that glibc takes as the second threshold


def keep_freed_memory() -> None:
    """Have freed arrays' memory used again instead of given back to the kernel, up to `KEPT_BYTES`.

    By itself glibc maps every larger array anew and unmaps it again: each page is then cleared by the kernel on its
    first use, which was a sixth of the processor time of a request with 64 images. Where the environment says how
    memory is to be allocated, or the C library is another, all stays as it is.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    with contextlib.suppress(AttributeError):
        _libc().mallopt(_MMAP_THRESHOLD, KEPT_BYTES)
        _libc().mallopt(_TRIM_THRESHOLD, KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Give back what lies free once, for example what only the start needed."""
    with contextlib.suppress(AttributeError):
        _libc().malloc_trim(0)


def _libc() -> Any:
    return ctypes.CDLL(None)
