"""What is done with trails as time passes, and the commands for it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.times import EPOCH
from app.trails.dropping import find_old_days
from app.trails.keeping import KeepingRule, keep_once, seal_closed
from tests.app.trails.conftest import CLOSED, DAY, DAY_US, NOON_US, Fix, TrailWorld, minutes

# The end of the 16th day after DAY.
LATER = EPOCH + timedelta(days=DAY + 16, hours=23, minutes=59)
RULE = KeepingRule(timedelta(hours=2), 14, quiet_for=timedelta(0))


async def test_closed_hours_are_sealed_and_of_old_days_one_is_dropped_each_time(world: TrailWorld) -> None:
    days = [0, 1, 2, 15, 16]
    sent = [fix for day in days for fix in minutes(1, NOON_US + day * DAY_US, 3)]
    just_now = Fix(1, NOON_US + 16 * DAY_US + 10 * 3_600_000_000)  # 22:00
    await world.send(*sent, just_now)
    left = []
    for _ in range(3):
        await keep_once(world.pool, RULE, LATER)
        async with world.pool.acquire() as connection:
            left.append(await find_old_days(connection, LATER, 14))
    # The third is 14 days old, no more; of the last only the hour after noon is over for two hours.
    assert left == [[DAY + 1], [], []]
    assert await world.read(to_us=NOON_US + 20 * DAY_US) == [*sent, just_now]
    assert await world.count("dirty_hour") == 1
    assert await world.count("ping") == 3 * 3 + 1


async def test_an_old_day_that_is_being_loaded_is_not_dropped_under_its_pings(world: TrailWorld) -> None:
    await world.send(*minutes(1, NOON_US, 3))
    rule = RULE._replace(quiet_for=timedelta(hours=1))
    await keep_once(world.pool, rule, LATER)
    await keep_once(world.pool, rule, LATER)
    assert await world.count("ping") == 3
    await world.pool.execute("UPDATE sealed_day SET last_sealed_at = now() - interval '61 minutes'")
    await keep_once(world.pool, rule, LATER)
    assert await world.count("ping") == 0


async def test_an_hour_is_sealed_when_it_is_over_for_so_long(world: TrailWorld) -> None:
    await world.send(Fix(1, NOON_US))
    at_15 = EPOCH + timedelta(microseconds=NOON_US) + timedelta(hours=3)
    await keep_once(world.pool, RULE, at_15 - timedelta(microseconds=1))
    assert await world.count("trail_chunk") == 0
    await keep_once(world.pool, RULE, at_15)
    assert await world.count("trail_chunk") == 1


async def test_no_more_is_done_at_once_than_there_is_time_for(world: TrailWorld) -> None:
    await world.send(Fix(1, NOON_US), Fix(1, NOON_US + DAY_US))
    await keep_once(world.pool, RULE, LATER, work_s=0)
    assert await world.count("trail_chunk") == 1


async def test_a_day_in_use_is_left_and_the_others_are_sealed(
    world: TrailWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.trails import keeping

    monkeypatch.setattr(keeping, "_ATTEMPTS", 1)
    await world.send(Fix(1, NOON_US), Fix(1, NOON_US + DAY_US))
    async with world.pool.acquire() as c, c.transaction():
        await c.execute("SELECT pg_advisory_xact_lock_shared(1, $1)", DAY)
        assert not await seal_closed(world.pool, CLOSED, lambda _: True)
    assert [row[0] for row in await world.pool.fetch("SELECT day FROM sealed_day")] == [DAY + 1]
    assert await seal_closed(world.pool, CLOSED, lambda _: True)


async def test_the_commands_say_what_waits_seal_it_and_drop_what_is_old(world: TrailWorld, database_url: str) -> None:
    sent = minutes(1, NOON_US, 120)
    await world.send(*sent, Fix(2, round(datetime.now(UTC).timestamp() * 1e6)))
    before = json.loads((await trailmatch(database_url, "trails", "status", "--json")).stdout)
    assert (before["waiting_hours"], before["open_hours"], before["sealed_pings"]) == (2, 1, 0)
    done = await trailmatch(database_url, "trails", "seal", "--json")
    assert json.loads(done.stdout) == {"hours": 2, "pings": 120, "dropped_days": 1, "is_complete": True}
    after = json.loads((await trailmatch(database_url, "trails", "status", "--json")).stdout)
    assert after["sealed_bytes"] > 0
    assert after | {"sealed_bytes": 0} == {
        "sealed_hours": 2,
        "sealed_pings": 120,
        "sealed_bytes": 0,
        "waiting_hours": 0,
        "open_hours": 1,
        "late_pings": 0,
        "hot_days": 1,
        "dropped_days": 1,
    }
    assert "120" in (await trailmatch(database_url, "trails", "status")).stdout
    again = await trailmatch(database_url, "trails", "seal", "--no-drop")
    assert again.stdout == "0 hours sealed, 0 pings; 0 days dropped\n"
    assert await world.read() == sent


async def trailmatch(database_url: str, *arguments: str) -> Result:
    """Run the command line, in a thread as it has an event loop of its own."""
    result = await asyncio.to_thread(
        CliRunner().invoke, cli, arguments, env={"DATABASE_URL": database_url, "NUMBA_CACHE_DIR": "unused"}
    )
    assert result.exit_code == 0, result.output
    return result
