"""Hints that something has been committed: `NOTIFY trailmatch`, heard by every process of the service.

A hint may be lost, so nobody relies on one: whoever waits also looks by itself now and then.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import asyncpg
import structlog

from app.db import Connection, Pool
from app.ending import end_if_cancelled

CHANNEL = "trailmatch"
_RETRY_S = 1.0

log = structlog.get_logger("trailmatch.wake")

SEND = "SELECT pg_notify('trailmatch', $1)"


async def send_hint(connection: Connection, topic: str) -> None:
    """Tell every listener that something of this topic was committed; call it after the commit.

    A hint that cannot be sent is lost without an error: what it tells of is stored, and that is the answer.
    """
    # Not inside the transaction: PostgreSQL lets transactions that notify commit only one at a time.
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await connection.execute(SEND, topic)


class Bell:
    """Rings when one of its topics is hinted at, also while its owner is busy elsewhere."""

    def __init__(self) -> None:
        self.ringing = asyncio.Event()

    async def wait(self, timeout_s: float) -> bool:
        """Return True once it has rung since the last wait, or False after the time at the latest."""
        try:
            await asyncio.wait_for(self.ringing.wait(), timeout_s)
        except TimeoutError:
            return False
        self.ringing.clear()
        return True


class Hints:
    """Bells by topic: pings, storing, incidents, rejoin, due, outbox, stream."""

    def __init__(self) -> None:
        self._bells: dict[str, set[Bell]] = {}

    @contextlib.contextmanager
    def bell(self, *topics: str) -> Iterator[Bell]:
        """Hang up a bell for the block."""
        bell = Bell()
        for topic in topics:
            self._bells.setdefault(topic, set()).add(bell)
        try:
            yield bell
        finally:
            for topic in topics:
                self._bells[topic].discard(bell)

    def give(self, topic: str) -> None:
        """Ring every bell of this topic."""
        for bell in self._bells.get(topic, ()):
            bell.ringing.set()

    def heard(self, _connection: object, _process_id: int, _channel: str, topic: object) -> None:
        """Take a notification from the database."""
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
                await connection.add_listener(CHANNEL, hints.heard)
                try:
                    await _ended(connection)
                finally:
                    if not connection.is_closed():
                        await connection.remove_listener(CHANNEL, hints.heard)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("listening for hints failed", error=type(error).__name__)
        end_if_cancelled()
        await asyncio.sleep(_RETRY_S)


async def _ended(connection: Connection) -> None:
    ended = asyncio.Event()

    def end(_connection: object) -> None:
        ended.set()

    connection.add_termination_listener(end)
    try:
        await ended.wait()
    finally:
        connection.remove_termination_listener(end)
