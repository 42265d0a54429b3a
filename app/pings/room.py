"""Room for bodies that are being worked on: who does not fit in is asked to come again, long before memory is short."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

from fastapi import Request

from app import metrics
from app.errors import Busy
from app.settings import Settings

# Decoding takes up to five times a body's decompressed size, and a processor; more at once would not be quicker.
_DECODED_AT_ONCE: Final = 2


class Room:
    """How many bodies, and how many bytes of them, the service works on at a time.

    At most these are in memory: the bodies as they came, two of them decoded, and 40 bytes for each of their pings.
    """

    def __init__(self, bodies: int, body_bytes: int) -> None:
        self._free_bodies, self._free_bytes = bodies, body_bytes
        self.decoding = asyncio.Semaphore(_DECODED_AT_ONCE)

    @contextlib.contextmanager
    def taken(self, body_bytes: int) -> Iterator[None]:
        """Hold room for a body of at most so many bytes. Raises Busy if there is none."""
        if self._free_bodies < 1 or self._free_bytes < body_bytes:
            raise Busy("More pings are being stored than there is room for; nothing of these was. Send them again.")
        self._free_bodies -= 1
        self._free_bytes -= body_bytes
        try:
            with metrics.BODIES.track_inprogress():
                yield
        finally:
            self._free_bodies += 1
            self._free_bytes += body_bytes


def room_of(request: Request) -> Room:
    """The one room of this application."""
    state = request.app.state
    if not hasattr(state, "ping_room"):
        settings: Settings = state.settings
        state.ping_room = Room(settings.max_bodies, max(settings.max_bodies_bytes, settings.max_body_bytes))
    room: Room = state.ping_room
    return room


def announced_bytes(request: Request, limit_bytes: int) -> int:
    """How much a body will be: as it says, or as much as it may be if it does not say or says more."""
    announced = request.headers.get("content-length", "")
    return min(int(announced), limit_bytes) if announced.isdecimal() else limit_bytes
