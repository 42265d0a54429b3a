"""Who goes first: storing before matching, and what is new before what is weighed again.

While bodies of pings wait for their turn to be stored, joining them hardly goes on. Whoever stores pings hints at it as
long as any wait (app/pings/waiting.py), from whatever process; a hint is good for half a second. What is stored can be
matched later, and what is not can be lost with its sender.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Final

from app.wake import Bell

# One part in so many of the time is left, so that matching goes on however long that lasts.
_PART: Final = 16
_HINT_IS_GOOD_FOR_S: Final = 0.5


async def give_way(storing: Bell, worked_s: float, is_good_for_s: float = _HINT_IS_GOOD_FOR_S) -> None:
    """Rest fifteen times as long as was worked, if anybody waits to be stored, and only as long as anybody does."""
    if not storing.ringing.is_set():
        return
    until_s = time.monotonic() + (_PART - 1) * worked_s
    while (left_s := until_s - time.monotonic()) > 0:
        if not await storing.wait(min(left_s, is_good_for_s)):
            return


class Pressing:
    """Work that somebody waits for, in this process: whoever has time lets it be done first."""

    def __init__(self) -> None:
        self._count = 0
        self._is_none = asyncio.Event()
        self._is_none.set()

    @contextlib.contextmanager
    def in_hand(self) -> Iterator[None]:
        """Count one more for the block."""
        self._count += 1
        self._is_none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if self._count == 0:
                self._is_none.set()

    async def wait_until_done(self, at_most_s: float) -> None:
        """Return once there is none, or after the time at the latest."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_none.wait(), at_most_s)
