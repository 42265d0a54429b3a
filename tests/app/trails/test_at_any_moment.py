"""While pings come in, hours are sealed and a day is dropped, a read gives exactly what was acknowledged."""

import asyncio
import contextlib
from random import Random

import pytest

from app.trails.box import Box
from app.trails.dropping import drop_day
from app.trails.sealing import DayIsBusy, seal_some
from tests.app.trails.conftest import CLOSED, DAY, DAY_US, HOUR_US, NOON_US, Fix, TrailWorld, kept

DEVICES, HOURS = 4, 3
WHOLE = Box(DAY * DAY_US, (DAY + 1) * DAY_US - 1, -1_800_000_000, 1_800_000_000, -900_000_000, 900_000_000)


class Story:
    """What has been sent and what has been acknowledged so far."""

    def __init__(self, world: TrailWorld) -> None:
        self.world = world
        self.sent: set[Fix] = set()
        self.acknowledged: set[Fix] = set()
        self.drops = 0
        self.reads = 0
        self.is_over = False

    async def send(self, batches: list[list[Fix]]) -> None:
        for batch in batches:
            self.sent |= set(batch)
            receipt = await self.world.send(*batch)
            assert receipt.accepted + receipt.duplicates == len(batch)
            self.acknowledged |= set(batch)

    async def seal(self, random: Random) -> None:
        while not self.is_over:
            with contextlib.suppress(DayIsBusy):
                await seal_some(self.world.pool, DAY, CLOSED, random.randint(1, 5))
            await asyncio.sleep(random.random() * 0.01)

    async def drop(self) -> None:
        while not self.is_over and not self.drops:
            self.drops += await drop_day(self.world.pool, DAY)
            await asyncio.sleep(0.02)

    async def read(self) -> None:
        while not self.is_over:
            before = set(self.acknowledged)
            found = await self.world.read()
            assert len(set(found)) == len(found)
            assert before <= set(found) <= self.sent
            before = set(self.acknowledged)
            in_box = await self.world.read_box(WHOLE)
            assert len(set(in_box)) == len(in_box)
            assert positions(before) <= set(in_box) <= positions(self.sent)
            self.reads += 1


def positions(fixes: set[Fix]) -> set[tuple[int, ...]]:
    return {(fix.device, fix.at_us, fix.lon_e7, fix.lat_e7) for fix in fixes}


def batches_of(random: Random, fixes: list[Fix]) -> list[list[Fix]]:
    """The fixes in any order, cut anywhere, some sent twice."""
    shuffled = random.sample(fixes, len(fixes)) + random.sample(fixes, len(fixes) // 10)
    batches = []
    while shuffled:
        size = random.randint(1, 20)
        batches.append(sorted(set(shuffled[:size])))
        shuffled = shuffled[size:]
    return batches


@pytest.mark.parametrize("seed", range(3))
async def test_a_read_gives_exactly_what_was_acknowledged(world: TrailWorld, seed: int) -> None:
    random = Random(seed)
    fixes = [
        Fix(device, NOON_US + hour * HOUR_US + minute * 60_000_000, lon_e7=minute, lat_e7=hour)
        for device in range(1, DEVICES + 1)
        for hour in range(HOURS)
        for minute in range(0, 60, 2)
    ]
    story = Story(world)
    # So that all devices are known, and the day has something that can be dropped early.
    await story.send([[fix] for fix in fixes[:: 30 * HOURS]])
    background = [asyncio.create_task(each) for each in (story.seal(random), story.drop(), story.read(), story.read())]
    parts = [fixes[i::3] for i in range(3)]
    await asyncio.gather(*(story.send(batches_of(random, part)) for part in parts))
    story.is_over = True
    await asyncio.gather(*background)
    assert story.reads > 5
    await world.seal()
    while not story.drops:
        story.drops += await drop_day(world.pool, DAY)
    assert sorted(await world.read()) == kept(fixes)
    assert await world.pool.fetchval("SELECT sum(n) FROM trail_chunk") == len(fixes)
