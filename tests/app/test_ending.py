"""Loops that are told to end while what they wait for breaks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from app.delivery import running as deliveries
from app.delivery.outside import outside_of
from app.matching import lease, matcher
from app.pings.forgetting import forget_rejects
from app.settings import load_settings
from app.trails.keeping import KeepingRule, keep_trails
from app.wake import Bell, Hints, _listen


class _BreakingPool:
    """Its connections break in the moment in which whoever waits for them is cancelled."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def fetchval(self, *_: object) -> object:
        self.asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        raise asyncpg.InterfaceError("connection is closed")

    execute = fetchval

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        await self.fetchval()
        yield


LOOPS: dict[str, Callable[[Any], Awaitable[None]]] = {
    "a matcher's stage": lambda pool: matcher._repeat("evaluate", pool.fetchval, Bell()),
    "deliveries": lambda pool: deliveries._repeat(pool.fetchval, Bell()),
    "forgetting deliveries": lambda pool: deliveries._forget(pool, outside_of(load_settings())),
    "forgetting rejects": forget_rejects,
    "keeping trails": lambda pool: keep_trails(pool, KeepingRule()),
    "listening": lambda pool: _listen(pool, Hints()),
    "renewing a lease": lambda pool: lease._renew(pool, "", uuid4()),
}


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_loop_ends_though_its_cancellation_came_out_as_an_error(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE", timedelta(milliseconds=1))
    pool = _BreakingPool()
    task = asyncio.ensure_future(LOOPS[loop](pool))
    await pool.asked.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=10)
    assert done
    assert task.cancelled()
