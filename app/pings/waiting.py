"""Bodies that wait to be stored while others are: as soon as there is a place they are stored together.

A transaction costs as much as thousands of pings, and what a ping costs the database falls by half when more of its
device come with it. So nothing is ever waited for, but who has to wait is taken along with everybody who waits then.
"""

import asyncio
import time
from collections import deque
from typing import Final, NamedTuple

from app.access.viewer import Viewer
from app.db import Pool
from app.pings.delivery import Delivery
from app.pings.store import PingStore, Posted, Receipt
from app.wake import send_hint

# Each holds a connection; the others of the pool are for crimes, alerts and whatever else is asked meanwhile.
_STORED_AT_ONCE: Final = 3
# What is stored together: 5 MB of arrays, some 0.2 s.
_PINGS: Final = 60_000
_BODIES: Final = 100
# Matchers give way for longer than this each time they hear that bodies wait (app/matching/giving_way.py).
_SAID_FOR_S: Final = 0.2


class _Waiting(NamedTuple):
    posted: Posted
    receipt: asyncio.Future[Receipt]


class WaitingRoom:
    """Stores bodies: at once, or, when too many others are being stored, in their turn and several together."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._store = PingStore(pool)
        self._queue = deque[_Waiting]()
        self._places = _STORED_AT_ONCE
        self._tasks = set[asyncio.Task[None]]()  # asyncio itself keeps none of them
        self._said_s = -_SAID_FOR_S

    async def store(self, viewer: Viewer, delivery: Delivery) -> Receipt:
        """Store a body and return when it is on disk. Raises as PingStore.store does, and nothing is stored then.

        If this is cancelled, the body may be stored all the same: whoever sends it again is told.
        """
        waiting = _Waiting(Posted(viewer, delivery), asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._places:
            self._places -= 1
            task = asyncio.create_task(self._store_all())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif time.monotonic() - self._said_s > _SAID_FOR_S:
            self._said_s = time.monotonic()
            async with self._pool.acquire() as connection:
                await send_hint(connection, "storing")
        return await waiting.receipt

    async def _store_all(self) -> None:
        """Store what waits until nothing does, then give the place back."""
        try:
            while some := self._take():
                together = await self._store_together(some) if len(some) > 1 else [None]
                for waiting, receipt in zip(some, together, strict=True):
                    if receipt is None:
                        await self._store_alone(waiting)
                    elif not waiting.receipt.done():
                        waiting.receipt.set_result(receipt)
        finally:
            self._places += 1

    def _take(self) -> list[_Waiting]:
        """Take the first body that waits, and those after it that can go with it."""
        some, pings = list[_Waiting](), 0
        while self._queue and len(some) < _BODIES:
            pings += self._queue[0].posted.delivery.pings.size
            if some and pings > _PINGS:
                break
            waiting = self._queue.popleft()
            if not waiting.receipt.done():  # whoever sent it has not gone
                some.append(waiting)
        return some

    async def _store_together(self, some: list[_Waiting]) -> list[Receipt | None]:
        try:
            return await self._store.store_together([waiting.posted for waiting in some])
        except Exception:  # noqa: BLE001 - whatever it is, it must not be everybody's: each hears of its own below
            return [None] * len(some)

    async def _store_alone(self, waiting: _Waiting) -> None:
        try:
            receipt = await self._store.store(*waiting.posted)
        except Exception as error:  # noqa: BLE001 - for who waits for it
            if not waiting.receipt.done():
                waiting.receipt.set_exception(error)
        else:
            if not waiting.receipt.done():
                waiting.receipt.set_result(receipt)
