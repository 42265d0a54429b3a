"""Sealing changes where pings lie and nothing that is read."""

import numpy as np
import pytest

from app.trails.box import Box, cells_of
from app.trails.sealing import DayIsBusy, find_day, seal_some
from tests.app.trails.conftest import CLOSED, DAY, DAY_US, HOUR_US, NOON_US, Fix, TrailWorld, kept, minutes


async def test_what_is_sealed_is_read_as_before(world: TrailWorld) -> None:
    sent = minutes(1, NOON_US, 150) + minutes(2, NOON_US - HOUR_US // 2, 90, accuracy_cm=-1)
    await world.send(*sent)
    assert sorted(await world.read()) == kept(sent)
    assert await world.seal() == len(sent)
    assert await world.count("dirty_hour") == 0
    # So that it is really the chunks that are read:
    await world.pool.execute("DELETE FROM ping")
    assert await world.read() == kept(sent)
    # Every hour that is touched is a chunk: 12 to 14 of the first device, 11 and 12 of the second.
    assert await world.count("trail_chunk") == 3 + 2


async def test_a_chunk_remembers_which_batch_brought_a_ping(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 3))
    await world.send(*minutes(1, NOON_US + HOUR_US // 2, 3))
    from app.trails.store import Stretches, read_pings

    stretch = Stretches(np.ones(1, np.int32), np.array([NOON_US]), np.array([NOON_US + HOUR_US]))
    before = await world.pool.fetch("SELECT batch_id FROM ping ORDER BY fixed_at")
    await world.seal()
    async with world.pool.acquire() as c, c.transaction():
        found = await read_pings(c, stretch)
    assert found.values[-1].tolist() == [row["batch_id"] for row in before]


async def test_an_hour_that_is_not_over_is_left_alone(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 61))
    from app.times import to_datetime

    half_past_one = to_datetime(NOON_US + HOUR_US + HOUR_US // 2)
    sealed = await seal_some(world.pool, DAY, half_past_one)
    assert (sealed.hours, sealed.pings) == (1, 60)
    assert (await seal_some(world.pool, DAY, half_past_one)).hours == 0
    assert sorted(await world.read()) == minutes(1, NOON_US, 61)


async def test_days_are_found_in_their_order_and_none_twice(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US + 3 * DAY_US, 2), *minutes(1, NOON_US, 2), *minutes(2, NOON_US, 1))
    async with world.pool.acquire() as connection:
        assert await find_day(connection, CLOSED) == DAY
        assert await find_day(connection, CLOSED, after_day=DAY) == DAY + 3
        assert await find_day(connection, CLOSED, after_day=DAY + 3) is None
        await world.seal(DAY)
        assert await find_day(connection, CLOSED) == DAY + 3


async def test_a_late_ping_in_a_sealed_hour_is_read_before_and_after_that_is_sealed_again(world: TrailWorld) -> None:
    sent = minutes(1, NOON_US, 60)
    await world.send(*sent)
    await world.seal()
    late = Fix(1, NOON_US + 90_000_000)
    smaller = sent[5]._replace(accuracy_cm=10)
    receipt = await world.send(late, smaller, sent[6])
    assert (receipt.accepted, receipt.duplicates, receipt.conflicts) == (1, 1, 1)
    expected = kept([*sent, late, smaller])
    assert await world.read() == expected
    assert await world.seal() == 61
    assert await world.read() == expected
    assert await world.count("trail_chunk") == 1


async def test_fixes_of_one_time_from_two_sources_are_both_kept_in_the_order_of_sources(world: TrailWorld) -> None:
    sent = [
        Fix(1, NOON_US, source=6, lon_e7=1),
        Fix(1, NOON_US, source=0, lon_e7=2),
        Fix(1, NOON_US, source=1, lon_e7=3),
    ]
    await world.send(*sent)
    await world.seal()
    assert await world.read() == [sent[1], sent[2], sent[0]]


async def test_a_stretch_is_read_to_its_ends_and_no_further(world: TrailWorld) -> None:
    sent = minutes(1, NOON_US, 180) + minutes(2, NOON_US, 180)
    await world.send(*sent)
    expected = [fix for fix in sent if NOON_US + HOUR_US // 2 <= fix.at_us <= NOON_US + 2 * HOUR_US]
    for _ in range(2):
        assert await world.read(NOON_US + HOUR_US // 2, NOON_US + 2 * HOUR_US) == expected
        # The middle hour of one device is sealed, then all.
        await seal_some(world.pool, DAY, CLOSED, 3)
    await world.seal()
    assert await world.read(NOON_US + HOUR_US // 2, NOON_US + 2 * HOUR_US) == expected


async def test_a_box_holds_what_is_in_it_sealed_or_not(world: TrailWorld) -> None:
    sent = minutes(1, NOON_US, 120) + [
        fix._replace(device=2, lon_e7=fix.lon_e7 + 5_000_000) for fix in minutes(1, NOON_US, 120)
    ]
    await world.send(*sent)
    box = Box(
        NOON_US + 600_000_000, NOON_US + HOUR_US + 600_000_000, -15_480_000, -15_440_000, 537_900_000, 538_000_000
    )
    expected = [
        (fix.device, fix.at_us, fix.lon_e7, fix.lat_e7)
        for fix in sent
        if box.from_us <= fix.at_us <= box.to_us
        and box.west_e7 <= fix.lon_e7 <= box.east_e7
        and box.south_e7 <= fix.lat_e7 <= box.north_e7
    ]
    assert 10 < len(expected) < 60
    while True:
        assert await world.read_box(box) == expected
        if not (await seal_some(world.pool, DAY, CLOSED, 1)).hours:
            break
    await world.pool.execute("DELETE FROM ping")
    assert await world.read_box(box) == expected


async def test_of_a_box_only_the_cells_that_it_names_are_read_sealed_or_not(world: TrailWorld) -> None:
    sent = [
        Fix(device, NOON_US + device, lon_e7=lon_e7, lat_e7=lat_e7)
        for device, (lon_e7, lat_e7) in enumerate(
            [(-999_999, 510_000_000), (999_999, 519_999_999), (1_000_000, 510_000_000), (-1_000_000, 510_000_000),
             (0, 509_999_999), (0, 520_000_000), (-15_000_000, 537_000_000)], 1
        )
    ]  # fmt: skip
    await world.send(*sent)
    sides = [(-999_999, 999_999, 510_000_000, 519_999_999), (-15_000_001, -15_000_000, 537_000_000, 537_000_001)]
    cells = cells_of(*np.array(sides).T)
    whole = Box(NOON_US, NOON_US + HOUR_US, -1_800_000_000, 1_800_000_000, -900_000_000, 900_000_000)
    for _ in range(2):
        assert [row[0] for row in await world.read_box(whole._replace(cells=cells))] == [1, 2, 7]
        assert len(await world.read_box(whole)) == len(sent)
        # A row that came after its hour was sealed is looked for by its mark.
        assert await world.seal() in {len(sent), 0}
    await world.send(
        Fix(8, NOON_US + 8, lon_e7=5, lat_e7=515_000_000), Fix(9, NOON_US + 9, lon_e7=5, lat_e7=525_000_000)
    )
    assert [row[0] for row in await world.read_box(whole._replace(cells=cells))] == [1, 2, 7, 8]


async def test_a_box_across_the_antimeridian_holds_both_sides(world: TrailWorld) -> None:
    sent = [
        Fix(device, NOON_US + device, lon_e7=lon_e7)
        for device, lon_e7 in enumerate((1_799_999_000, -1_799_999_000, 0, 1_700_000_000), 1)
    ]
    await world.send(*sent)
    box = Box(NOON_US, NOON_US + HOUR_US, 1_799_000_000, -1_799_000_000, 0, 900_000_000)
    assert [row[0] for row in await world.read_box(box)] == [1, 2]
    await world.seal()
    assert [row[0] for row in await world.read_box(box)] == [1, 2]


async def test_a_damaged_chunk_is_an_error_that_names_it(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 60))
    await world.seal()
    await world.pool.execute("UPDATE trail_chunk SET payload = set_byte(payload, 40, get_byte(payload, 40) # 1)")
    with pytest.raises(ValueError, match=r"the chunk of device 1, hour 2022-01-08 12:00 UTC is damaged"):
        await world.read()


async def test_an_hour_whose_rows_were_removed_is_none_any_more(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 120))
    await world.seal()
    async with world.pool.acquire() as c, c.transaction():
        await c.execute("DELETE FROM ping WHERE extract(hour FROM fixed_at) = 12")
        await c.execute("INSERT INTO dirty_hour SELECT device_id, hour_at FROM trail_chunk ORDER BY hour_at LIMIT 1")
    await world.seal()
    assert await world.count("trail_chunk") == 1
    assert await world.read() == minutes(1, NOON_US, 120)[60:]


async def test_sealing_waits_a_moment_for_a_day_that_is_written_to_and_then_gives_up(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 2))
    async with world.pool.acquire() as c, c.transaction():
        await c.execute("SELECT pg_advisory_xact_lock_shared(1, $1)", DAY)
        with pytest.raises(DayIsBusy):
            await seal_some(world.pool, DAY, CLOSED)
    assert await world.seal() == 2
