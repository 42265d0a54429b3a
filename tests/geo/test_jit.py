"""Kernels are compiled by several processes into one cache."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

KERNEL = """
from geo.jit import kernel

@kernel
def twice(number):
    return number + number
"""


def twice(directory: Path, number: str) -> "subprocess.Popen[str]":
    """A process that compiles the kernel for a kind of number, unless the cache has it."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from planted import twice; print(twice({number}), twice.stats.cache_hits.total())"],
        env={**os.environ, "NUMBA_CACHE_DIR": str(directory / "cache"), "PYTHONPATH": f"{directory}:{Path.cwd()}"},
        stdout=subprocess.PIPE,
        text=True,
    )


def is_kept_waiting(process: "subprocess.Popen[str]") -> bool:
    """Whether it waits for a lock, as the system tells."""
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(words[1] == "->" and words[5] == str(process.pid) for words in locks)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who waits for a lock")
def test_one_process_at_a_time_adds_to_the_cache_and_the_next_takes_what_it_has_added(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(KERNEL)
    assert twice(tmp_path, "2").communicate()[0] == "4 0\n"
    [lock] = (tmp_path / "cache").glob("*/lock")
    with lock.open() as held, twice(tmp_path, "0.5") as other:
        fcntl.flock(held, fcntl.LOCK_EX)
        while not is_kept_waiting(other):
            assert other.poll() is None, "it did not wait"
            time.sleep(0.01)
        fcntl.flock(held, fcntl.LOCK_UN)
        assert other.communicate()[0] == "1.0 0\n"
    assert len(list((tmp_path / "cache").glob("*/*.nbc"))) == 2
    assert twice(tmp_path, "2").communicate()[0] == "4 1\n"
    assert twice(tmp_path, "0.5").communicate()[0] == "1.0 1\n"
