"""Memory as a benchmark meets it: how fast it is read, what is in no cache, and how much of it a run takes."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil

_READ_BYTES = 1 << 28
_LOOKS_EVERY_S = 0.001


class Evictor:
    """256 MB that are read so that nothing else is left in a cache."""

    def __init__(self) -> None:
        self._bytes = np.ones(_READ_BYTES // 8)

    def evict(self) -> None:
        """Read them all."""
        self._bytes.max()


def read_bytes_per_s(threads: int) -> float:
    """How fast so many threads read memory that is in no cache; the best of five."""
    parts = np.array_split(np.ones(_READ_BYTES // 8), threads)
    best_s = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            started = time.perf_counter()
            list(pool.map(np.max, parts))
            best_s = min(best_s, time.perf_counter() - started)
    return _READ_BYTES / best_s


def peak_mb(run: Callable[[], object]) -> float:
    """Memory that one run takes at most, beyond what was taken before it; looked at every millisecond."""
    process, done = psutil.Process(), threading.Event()
    before = most = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not done.wait(_LOOKS_EVERY_S):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return (most - before) / 1e6
