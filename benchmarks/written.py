"""Bodies that are written to a file beforehand and read from there as they are sent: making them takes no time then."""

import contextlib
import mmap
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.deliveries import Delivery


class Written(NamedTuple):
    """B bodies of one media type, side by side in a file that is mapped into memory, not read into it."""

    content: memoryview
    ends: list[int]  # (B,) the byte after each
    pings: list[int]  # (B,) how many each holds
    media_type: str

    def body(self, number: int) -> memoryview:
        """Give one of them."""
        return self.content[self.ends[number - 1] if number else 0 : self.ends[number]]


@contextlib.contextmanager
def written(deliveries: Iterable[Delivery], directory: Path) -> Iterator[Written]:
    """Write bodies, one at least, into a file in this directory that is there for the block."""
    ends, pings = list[int](), list[int]()
    with tempfile.TemporaryFile(dir=directory) as file:
        for delivery in deliveries:
            file.write(delivery.content)
            ends.append(file.tell())
            pings.append(delivery.pings)
            media_type = delivery.media_type
        file.flush()
        # It is unmapped with the last view of it, which a sender may still have when another one has failed.
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        yield Written(memoryview(mapped), ends, pings, media_type)
