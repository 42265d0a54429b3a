"""Storing goes before matching: while bodies of pings wait for their turn to be stored, joining them hardly goes on.

Whoever stores pings hints at it as long as any wait (app/pings/waiting.py), from whatever process; a hint is good for
half a second. What is stored can be matched later, and what is not can be lost with its sender.
"""

import time
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
