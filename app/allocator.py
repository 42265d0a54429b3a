"""How this process gives memory back to the system."""

import ctypes
import sys
from typing import Final

# Of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES: Final = 1 << 20
_LEFT_BYTES: Final = 1 << 24


def give_memory_back() -> None:
    """Let what an array of a megabyte or more took go back to the system as soon as the array is gone.

    By itself glibc keeps it: it takes the largest array that was ever freed, up to 32 MB, for the usual, and has from
    then on all smaller ones in heaps, one for each thread, which something small at their end keeps from shrinking. A
    matcher that had caught up with a nation's day held 0.7 GB so, of which nothing was in use. Elsewhere than on glibc
    this does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LEFT_BYTES)
