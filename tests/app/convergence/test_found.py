"""What the histories have found, as examples."""

import asyncio
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.db import connect_pool
from app.pings.partitions import DAY_US, Partitions
from app.times import to_datetime
from app.trails import dropping
from tests.app.convergence.deliveries import Drop, Pings, Seal
from tests.app.convergence.histories import ANCHORS, History, Ping
from tests.app.convergence.town import Town, founded

NOON_US = ANCHORS[0]
DAY = NOON_US // DAY_US


def fix(at_us: int) -> Ping:
    return Ping("T0", at_us, 1, -15_500_000, 538_000_000, 1_000)


async def count(town: Town, table: str) -> int:
    return int(await town.pool.fetchval(f"SELECT count(*) FROM {table}"))


async def test_a_batch_is_stored_whose_days_are_dropped_one_after_the_other_meanwhile(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure, to_drop = Partitions.ensure, [DAY, DAY + 1]
    # With one connection: whoever looked for another day while holding it would wait for ever.
    async with connect_pool(database_url, max_size=1) as pool, founded(pool) as town, asyncio.timeout(60):
        await town.begin(History([], [], [], [], []))
        await town.deliver(Pings([fix(NOON_US), fix(NOON_US + DAY_US)]))

        async def ensure_and_drop(partitions: Partitions, days: list[int]) -> list[int]:
            dropped = await ensure(partitions, days)
            if to_drop:
                await town.deliver(Drop(to_drop.pop(0)))
            return dropped

        monkeypatch.setattr(Partitions, "ensure", ensure_and_drop)
        await town.deliver(Pings([fix(NOON_US + 1), fix(NOON_US + DAY_US + 1)]))
        assert (town.drops, await count(town, "ping_late")) == (2, 2)


async def test_an_hour_that_gets_a_ping_while_its_chunk_is_compared_is_not_called_damaged(database_url: str) -> None:
    async with connect_pool(database_url) as pool, founded(pool) as town:
        await town.begin(History([], [], [], [], []))
        await town.deliver(Pings([fix(NOON_US)]))
        await town.deliver(Seal(DAY))
        device_id = await pool.fetchval("SELECT device_id FROM device")
        wrong = [(device_id, to_datetime(NOON_US - NOON_US % 3_600_000_000))]
        compared = dropping.Proof(await pool.fetchval(dropping.LAST_SEALED_BY, DAY), wrong)
        await town.deliver(Pings([fix(NOON_US + 1)]))
        assert await mark(town, compared) == []
        assert await count(town, "dirty_hour") == 1
        await town.deliver(Seal(DAY))
        # It was sealed anew after the comparison: what differed then is right by now.
        assert await mark(town, compared) == []
        assert await count(town, "dirty_hour") == 0
        compared = dropping.Proof(await pool.fetchval(dropping.LAST_SEALED_BY, DAY), wrong)
        assert [each["log_level"] for each in await mark(town, compared)] == ["error"]
        assert await count(town, "dirty_hour") == 1


async def mark(town: Town, compared: dropping.Proof) -> Sequence[MutableMapping[str, Any]]:
    """Mark hours whose chunks differ; gives what is logged of it."""
    async with town.pool.acquire() as c, c.transaction():
        with capture_logs() as logs:
            await dropping._mark(c, DAY, compared)
    return logs
