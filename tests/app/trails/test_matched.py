"""The matcher finds the same whether a trail lies in rows, in chunks, or came late."""

from datetime import UTC, datetime, timedelta

import pytest

from app.db import Pool
from app.trails.dropping import drop_day
from app.trails.sealing import seal_some
from tests.app.matching.world import INSIDE, LAT, LON, METRE_NORTH_DEG, NOON, Fix, World

DAY = (NOON.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days
CLOSED = datetime(2030, 1, 1, tzinfo=UTC)
MARK_ALL = """
INSERT INTO dirty_hour SELECT DISTINCT device_id, date_bin('1 hour', fixed_at, 'epoch') FROM ping ON CONFLICT DO NOTHING
"""


@pytest.fixture
async def matching(pool: Pool) -> World:
    made = World(pool)
    await made.found()
    return made


async def seal(world: World, day: int = DAY) -> None:
    """Seal a day, and take its rows away."""
    await world.pool.execute(MARK_ALL)
    while (await seal_some(world.pool, day, CLOSED)).hours:
        pass
    assert await drop_day(world.pool, day)


async def put_late(world: World, device: int, *fixes: Fix) -> None:
    await world.pool.executemany(
        "INSERT INTO ping_late VALUES ($1, $2, 0, $3, $4, -1, -1, -1, 1)",
        [
            (
                device,
                NOON + timedelta(seconds=fix.seconds),
                round(LON * 1e7),
                round((LAT + fix.north_m * METRE_NORTH_DEG) * 1e7),
            )
            for fix in fixes
        ],
    )


async def test_a_crime_is_matched_with_a_sealed_trail(matching: World) -> None:
    device, _ = await matching.worn_device("W1")
    await matching.pings(device, *INSIDE)
    await matching.settle()
    await seal(matching)
    await matching.crime("C1")
    await matching.settle()
    assert await matching.matches() == {("C1", "W1"): 2}


async def test_a_crime_is_matched_with_what_came_late(matching: World) -> None:
    device, _ = await matching.worn_device("W1")
    await matching.pings(device, INSIDE[0], INSIDE[3])
    await matching.settle()
    await seal(matching)
    await put_late(matching, device, *INSIDE[1:3])
    await matching.crime("C1")
    await matching.settle()
    assert await matching.matches() == {("C1", "W1"): 2}


async def test_a_sealed_trail_is_divided_where_the_tag_changed_hands(matching: World) -> None:
    device = await matching.device("D1")
    before, after = await matching.wearer("before"), await matching.wearer("after")
    await matching.fit(device, before, -36_000, 30)
    await matching.fit(device, after, 30, None)
    # At the very instant of the change the tag is the new wearer's.
    await matching.pings(device, Fix(0, 0), Fix(20, 10), Fix(30, 5), Fix(60, 20))
    await matching.settle()
    await seal(matching)
    await matching.crime("C1")
    await matching.settle()
    assert await matching.matches() == {("C1", "before"): 2, ("C1", "after"): 2}


async def test_a_batch_is_joined_with_its_sealed_neighbours(matching: World) -> None:
    device = await matching.device("D1")
    await matching.fit(device, await matching.wearer("W1"), -90_000)
    midnight_s = -43_200
    await matching.crime("C1", from_s=midnight_s, to_s=midnight_s)
    # The last fix of the day before, sealed and dropped, and the first of today are a line through the circle.
    await matching.pings(device, Fix(midnight_s - 30, -400))
    await matching.settle()
    await seal(matching, DAY - 1)
    await matching.pings(device, Fix(midnight_s + 30, 400))
    await matching.settle()
    assert await matching.matches() == {("C1", "W1"): 0}


# 58 m/s, so that one end lies nearly a line's length from the place, and neither in a box that meets the circle.
NEAR_END, FAR_END = Fix(-150, -800), Fix(120, 14_800)
SAME_HOUR = Fix(-20, 6_700)


@pytest.mark.parametrize(
    ("sealed", "late", "in_rows"),
    [
        ([NEAR_END, FAR_END], [], []),
        ([NEAR_END], [FAR_END], []),
        ([NEAR_END], [SAME_HOUR], []),
        ([FAR_END], [NEAR_END], []),
        ([NEAR_END], [], [FAR_END]),
        ([FAR_END], [], [NEAR_END]),
    ],
    ids=["both sealed", "end late", "late in the hour", "start late", "end in rows", "start in rows"],
)
async def test_a_crime_is_matched_with_a_line_wherever_its_ends_lie(
    matching: World, sealed: list[Fix], late: list[Fix], in_rows: list[Fix]
) -> None:
    device, _ = await matching.worn_device("W1")
    await matching.pings(device, *sealed)
    await matching.settle()
    await matching.pool.execute(MARK_ALL)
    while (await seal_some(matching.pool, DAY, CLOSED)).hours:
        pass
    await put_late(matching, device, *late)
    if in_rows:
        await matching.pings(device, *in_rows)
        await matching.pool.execute(
            "INSERT INTO dirty_hour SELECT device_id, date_bin('1 hour', fixed_at, 'epoch') FROM ping "
            "WHERE fixed_at = $1",
            NOON + timedelta(seconds=in_rows[0].seconds),
        )
    await matching.settle()
    await matching.crime("C1")
    await matching.settle()
    assert await matching.matches() == {("C1", "W1"): 0}
