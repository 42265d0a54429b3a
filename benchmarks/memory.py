"""How much memory a service and its database take at most."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import psutil

_EVERY_S = 0.25  # a look reads all maps of a score of processes, some 15 ms
_MB = 1_000_000


class Peak(NamedTuple):
    """The most, or the least, that was in use at one time, in MB of 10^6 bytes."""

    service_mb: float  # with the worker beside it
    postgres_mb: float


class Part(NamedTuple):
    """What was in use in a part of the time; each of the four at its own moment."""

    least: Peak
    most: Peak


class PeakMeter:
    """Looks at a service, with the worker beside it, and at its PostgreSQL several times a second.

    A page that several processes share counts once (the proportional set size), where the system tells.
    """

    def __init__(self, pid: int) -> None:
        self._service = psutil.Process(pid)
        self._before = Peak(0.0, 0.0)
        self._since = list[Peak]()

    @property
    def peak(self) -> Peak:
        """The most seen so far; each of the two at its own moment."""
        return _each(max, [self._before, *self._since])

    def part(self) -> Part:
        """Give the least and the most seen since this was asked last, or since the beginning."""
        self.look()
        part, self._before, self._since = self._since, self.peak, []
        return Part(_each(min, part), _each(max, part))

    def look(self) -> None:
        """Look once."""
        with contextlib.suppress(psutil.Error):
            service, postgres = _mb(self._service), 0.0
            for child in self._service.children(recursive=True):
                with contextlib.suppress(psutil.Error):  # it has just ended
                    if child.name() == "postgres":
                        postgres += _mb(child)
                    else:
                        service += _mb(child)
            self._since.append(Peak(round(service, 1), round(postgres, 1)))


def _each(choose: Callable[[Iterable[float]], float], seen: Sequence[Peak]) -> Peak:
    return Peak(*map(choose, zip(*seen, strict=True)))


def _mb(process: psutil.Process) -> float:
    full = process.memory_full_info()
    return int(getattr(full, "pss", full.uss)) / _MB


@contextlib.contextmanager
def metering(pid: int, every_s: float = _EVERY_S) -> Iterator[PeakMeter]:
    """Measure a process and its children for the block, every so many seconds."""
    meter, ended = PeakMeter(pid), threading.Event()

    def watch() -> None:
        while not ended.wait(every_s):
            meter.look()

    thread = threading.Thread(target=watch, name="memory")
    thread.start()
    try:
        yield meter
    finally:
        ended.set()
        thread.join()
