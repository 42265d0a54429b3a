"""Rows go only when their chunks are proved to hold them; what comes later counts as if they were there."""

import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from app.times import EPOCH
from app.trails.box import Box
from app.trails.dropping import drop_day, find_old_days
from app.trails.sealing import find_day
from app.trails.store import Stretches, read_pings
from tests.app.trails.conftest import CLOSED, DAY, DAY_US, HOUR_US, NOON_US, Fix, TrailWorld, kept, minutes

PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'ping'::regclass"


async def test_a_sealed_day_is_dropped_and_read_as_before(world: TrailWorld) -> None:
    sent = minutes(1, NOON_US, 150) + minutes(2, NOON_US, 60)
    await world.send(*sent)
    await world.seal()
    assert await drop_day(world.pool, DAY)
    assert await world.count("ping") == 0
    assert await world.pool.fetchval(PARTITIONS) == 0
    assert await world.read() == kept(sent)


async def test_a_day_with_a_mark_is_not_dropped(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 90))
    await world.seal()
    # Even if the chunk has it all: the mark would outlive the rows that it says to read.
    await world.pool.execute("INSERT INTO dirty_hour SELECT device_id, hour_at FROM trail_chunk LIMIT 1")
    assert not await drop_day(world.pool, DAY)
    await world.send(Fix(1, NOON_US + 1))
    assert not await drop_day(world.pool, DAY)
    assert await world.count("ping") == 91


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE ping SET lon_e7 = lon_e7 + 1 WHERE fixed_at = (SELECT min(fixed_at) FROM ping)",
        "UPDATE ping SET batch_id = batch_id + 1 WHERE fixed_at = (SELECT min(fixed_at) FROM ping)",
        "DELETE FROM ping WHERE fixed_at = (SELECT min(fixed_at) FROM ping)",
        "INSERT INTO ping SELECT device_id, fixed_at, 6, 0, 0, 0, 0, 0, 0 FROM ping LIMIT 1",
        "INSERT INTO ping SELECT 77, fixed_at, 6, 0, 0, 0, 0, 0, 0 FROM ping LIMIT 1",
        "UPDATE trail_chunk SET payload = set_byte(payload, 40, get_byte(payload, 40) # 1)",
    ],
)
async def test_a_day_whose_chunks_are_not_its_rows_is_not_dropped_but_sealed_anew(world: TrailWorld, harm: str) -> None:
    await world.send(*minutes(1, NOON_US, 90))
    await world.seal()
    await world.pool.execute(harm)
    assert not await drop_day(world.pool, DAY)
    assert await world.count("dirty_hour") > 0
    stored = await world.pool.fetch("SELECT * FROM ping ORDER BY 1, 2, 3")
    await world.seal()
    assert await drop_day(world.pool, DAY)
    assert await world.pool.fetchval("SELECT sum(n) FROM trail_chunk") == len(stored)


async def test_what_was_sealed_after_the_comparison_stops_the_drop(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 90))
    await world.seal()
    from app.trails import dropping

    async with world.pool.acquire() as connection:
        proof = await dropping._compare(connection, DAY)
        async with connection.transaction():
            assert await dropping._is_proved(connection, DAY, proof)
        # One ping in, one out: every number is as before.
        await world.send(Fix(1, NOON_US + 1))
        await world.pool.execute("DELETE FROM ping WHERE fixed_at = (SELECT min(fixed_at) FROM ping)")
        await world.seal()
        async with connection.transaction():
            assert not await dropping._is_proved(connection, DAY, proof)


async def test_hours_found_wrong_that_were_sealed_after_the_comparison_are_not_sealed_once_more(
    world: TrailWorld,
) -> None:
    await world.send(*minutes(1, NOON_US, 90))
    await world.seal()
    await world.pool.execute("UPDATE ping SET lon_e7 = lon_e7 + 1 WHERE fixed_at = (SELECT min(fixed_at) FROM ping)")
    from app.trails import dropping

    async with world.pool.acquire() as connection:
        proof = await dropping._compare(connection, DAY)
        assert proof.wrong
        await world.pool.execute("INSERT INTO dirty_hour SELECT device_id, hour_at FROM trail_chunk")
        await world.seal()
        async with connection.transaction():
            await dropping._mark(connection, DAY, proof)
    assert await world.count("dirty_hour") == 0
    assert await drop_day(world.pool, DAY)


async def test_a_row_that_came_unmarked_after_the_comparison_stops_the_drop(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 90))
    await world.seal()
    from app.trails import dropping

    async with world.pool.acquire() as connection:
        proof = await dropping._compare(connection, DAY)
        await connection.execute("INSERT INTO ping SELECT device_id, fixed_at, 6, 0, 0, 0, 0, 0, 0 FROM ping LIMIT 1")
        async with connection.transaction():
            assert not await dropping._is_proved(connection, DAY, proof)


async def test_a_reader_with_an_older_snapshot_stops_the_drop(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 90))
    async with world.pool.acquire() as reader:
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            assert await reader.fetchval("SELECT count(*) FROM dirty_hour") == 2
            await world.seal()
            # To this reader the hours are still rows.
            assert not await drop_day(world.pool, DAY)
            assert await reader.fetchval("SELECT count(*) FROM ping") == 90
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            assert await reader.fetchval("SELECT count(*) FROM dirty_hour") == 0
            assert await drop_day(world.pool, DAY)


async def test_a_day_that_is_written_to_is_dropped_later(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 90))
    await world.seal()
    async with world.pool.acquire() as c, c.transaction():
        await c.execute("SELECT pg_advisory_xact_lock_shared(1, $1)", DAY)
        assert not await drop_day(world.pool, DAY)
    assert await drop_day(world.pool, DAY)


async def test_days_older_than_so_many_whole_days_are_old(world: TrailWorld) -> None:
    await world.send(*(Fix(1, (DAY + i) * DAY_US) for i in range(4)))
    now = datetime(1970, 1, 1, 6, tzinfo=UTC) + timedelta(days=DAY + 16)
    async with world.pool.acquire() as connection:
        # The third day's last instant is 14 days ago only when the day that follows 14 more has begun.
        assert await find_old_days(connection, now, 14) == [DAY, DAY + 1]


async def test_late_pings_of_a_dropped_day_count_as_if_its_rows_were_there(world: TrailWorld) -> None:
    sent = minutes(1, NOON_US, 120)
    await world.send(*sent)
    await world.seal()
    assert await drop_day(world.pool, DAY)
    late = Fix(1, NOON_US + 90_000_000)
    elsewhere = Fix(3, NOON_US - 5 * HOUR_US)
    smaller, larger = sent[5]._replace(accuracy_cm=10), sent[6]._replace(accuracy_cm=5_000)
    today = Fix(1, NOON_US + 3 * DAY_US)
    batch = [late, elsewhere, smaller, larger, sent[7], sent[8], today]
    receipt = await world.send(*batch)
    assert (receipt.accepted, receipt.duplicates, receipt.conflicts) == (3, 2, 2)
    again = await world.send(*batch)
    assert (again.accepted, again.duplicates, again.conflicts) == (0, 7, 0)
    # What was the ping before is known too.
    assert (await world.send(sent[5])).duplicates == 1
    # Beside the two of which one is the ping, the other is kept.
    assert await world.count("ping_conflict") == 2
    expected = kept([*sent, *batch])
    assert sorted(await world.read(to_us=NOON_US + 4 * DAY_US)) == expected
    assert await world.count("ping_late") == 3
    async with world.pool.acquire() as connection:
        assert await find_day(connection, CLOSED) == DAY
    assert await world.seal() == 60 + 1 + 1
    assert await world.count("ping_late") == 0
    assert sorted(await world.read(to_us=NOON_US + 4 * DAY_US)) == expected
    assert (await world.send(*batch)).duplicates == 7
    assert await world.pool.fetchval(PARTITIONS) == 1


async def test_a_late_ping_that_takes_anothers_place_takes_it_out_of_a_box(world: TrailWorld) -> None:
    stays, moves = Fix(1, NOON_US), Fix(1, NOON_US + 60_000_000)
    await world.send(stays, moves)
    await world.seal()
    assert await drop_day(world.pool, DAY)
    box = Box(NOON_US, NOON_US + HOUR_US, stays.lon_e7 - 9, stays.lon_e7 + 9, stays.lat_e7 - 9, stays.lat_e7 + 9)
    assert len(await world.read_box(box)) == 2
    await world.send(moves._replace(accuracy_cm=1, lon_e7=0))
    for _ in range(2):
        assert await world.read_box(box) == [(1, stays.at_us, stays.lon_e7, stays.lat_e7)]
        await world.seal()


async def test_two_stretches_that_share_a_sealed_hour_are_read_whole_beside_a_late_ping(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 60))
    await world.seal()
    assert await drop_day(world.pool, DAY)
    late = Fix(1, NOON_US + 90_000_000)
    await world.send(late)
    from_us = NOON_US + np.array([0, 40]) * 60_000_000
    stretches = Stretches(np.ones(2, np.int32), from_us, from_us + 5 * 60_000_000)
    async with world.pool.acquire() as connection, connection.transaction():
        found = await read_pings(connection, stretches)
    in_minutes = [0, 1, 1.5, 2, 3, 4, 5, 40, 41, 42, 43, 44, 45]
    assert found.values[0].tolist() == [NOON_US + round(minute * 60_000_000) for minute in in_minutes]


async def test_an_ingest_that_knew_the_day_learns_that_it_was_dropped(world: TrailWorld) -> None:
    sent = minutes(1, NOON_US, 60)
    await world.send(*sent)  # now its store knows the day's partition
    await world.seal()
    assert await drop_day(world.pool, DAY)
    receipt = await world.send(sent[0], Fix(1, NOON_US + 1))
    assert (receipt.accepted, receipt.duplicates) == (1, 1)
    assert await world.count("ping_late") == 1


async def test_a_late_ping_reaches_the_matcher_and_marks_nothing(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 60))
    await world.seal()
    assert await drop_day(world.pool, DAY)
    receipt = await world.send(Fix(1, NOON_US + 1))
    payload = "SELECT octet_length(payload) FROM ping_batch WHERE batch_id = $1"
    assert await world.pool.fetchval(payload, receipt.batch_id) == 1 + 34
    assert await world.count("dirty_hour") == 0


async def test_late_pings_of_one_key_that_come_at_the_same_time_leave_the_smallest(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 60))
    await world.seal()
    assert await drop_day(world.pool, DAY)
    rivals = [Fix(1, NOON_US + 1, accuracy_cm=accuracy_cm) for accuracy_cm in (40, 10, 30, 20)]
    receipts = await asyncio.gather(*(world.send(rival) for rival in rivals))
    assert sorted((r.accepted, r.conflicts) for r in receipts) == [(0, 1)] * 3 + [(1, 0)]
    assert rivals[1] in await world.read()
    assert await world.count("ping_conflict") == 3


def test_day_numbers_are_utc_days() -> None:
    assert EPOCH + timedelta(days=DAY) == datetime(2022, 1, 8, tzinfo=UTC)
