"""Hints that something has been committed: `NOTIFY trailmatch`, heard by every process of the service.

A hint may be lost, so nobody relies on one: whoever waits also looks by itself now and then.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import structlog

from app.db import Connection, Pool

CHANNEL = "trailmatch"
_RETRY_S = 1.0

log = structlog.get_logger("trailmatch.wake")

SEND = "SELECT pg_notify('trailmatch', $1)"


async def send_hint(connection: Connection, topic: str) -> None:
    """Tell every listener that something of this topic was committed; call it after the commit."""
    # Not inside the transaction: PostgreSQL lets transactions that notify commit only one at a time.
    await connection.execute(SEND, topic)


class Hints:
    """Wakes waiters by topic: pings, incidents, rejoin, due, outbox, stream."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}

    async def wait(self, topics: set[str], timeout_s: float) -> None:
        """Return when one of the topics is hinted at, or after the time at the latest."""
        event = asyncio.Event()
        for topic in topics:
            self._waiting.setdefault(topic, set()).add(event)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), timeout_s)
        finally:
            for topic in topics:
                self._waiting[topic].discard(event)

    def give(self, topic: str) -> None:
        """Wake whoever waits for this topic."""
        for event in self._waiting.get(topic, ()):
            event.set()

    def _heard(self, _connection: object, _process_id: int, _channel: str, topic: object) -> None:
        self.give(str(topic))


@contextlib.asynccontextmanager
async def listening(pool: Pool) -> AsyncIterator[Hints]:
    """Listen for the block, on one connection of the pool; a connection that breaks is replaced."""
    hints = Hints()
    task = asyncio.create_task(_listen(pool, hints))
    try:
        yield hints
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _listen(pool: Pool, hints: Hints) -> None:
    while True:
        try:
            async with pool.acquire() as connection:
                ended = asyncio.Event()
                connection.add_termination_listener(lambda _: ended.set())  # noqa: B023 - set in this very round
                await connection.add_listener(CHANNEL, hints._heard)  # noqa: SLF001 - the callback of this module's class
                try:
                    await ended.wait()
                finally:
                    if not connection.is_closed():
                        await connection.remove_listener(CHANNEL, hints._heard)  # noqa: SLF001 - as above
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("listening for hints failed", error=type(error).__name__)
        await asyncio.sleep(_RETRY_S)
