"""A touch of a wearer or an incident, and an evaluation of the same pair in the same moment."""

import asyncio
from uuid import UUID

import pytest

from app.db import Connection
from app.matching import evaluate_stage
from app.matching.due import LOCK, Amended, Touch, touch_incidents, touch_wearers
from app.matching.evaluate_stage import Claimed, evaluate_due
from tests.app.matching.world import INSIDE, NOON, Fix, World


async def test_a_touch_sees_a_match_that_is_written_in_the_same_moment(world: World) -> None:
    device, wearer = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.join()
    touched = [Touch(wearer, NOON, NOON)]
    async with world.pool.acquire() as c:
        async with c.transaction():
            await touch_wearers(c, touched, "fittings")
            # The row is locked by the touch: the evaluation leaves the pair alone.
            assert await evaluate_due(world.pool, world.run_id) == 0
        await world.evaluate()
        assert await world.matches() == {("C1", "W1"): 2}
        await c.execute("BEGIN")
        await touch_wearers(c, touched, "fittings")
        await c.execute("COMMIT")
    assert await world.pool.fetchval("SELECT count(*) FROM due") == 1


async def touch(world: World, of: str, wearer: UUID, incident: UUID) -> None:
    """Touch the pair as an input about its wearer does, or a version of its incident."""
    async with world.pool.acquire() as c, c.transaction():
        if of == "incident":
            await touch_incidents(c, [Amended(incident, NOON, NOON)])
        else:
            await touch_wearers(c, [Touch(wearer, NOON, NOON)], "pings" if of == "pings" else "fittings")


@pytest.mark.parametrize("of", ["pings", "fittings", "incident"])
async def test_a_touch_waits_for_an_evaluation_that_is_being_written_and_then_sees_its_match(
    world: World, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    """Fails where judged pairs are looked up before those that wait are touched: neither look sees the pair."""
    device, wearer = await world.worn_device("W1")
    incident = await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.join()
    true_finish, written, go_on = evaluate_stage._finish, asyncio.Event(), asyncio.Event()

    async def finish_slowly(connection: Connection, finished: list[Claimed]) -> None:
        await true_finish(connection, finished)
        written.set()
        await go_on.wait()

    monkeypatch.setattr(evaluate_stage, "_finish", finish_slowly)
    evaluation = asyncio.create_task(evaluate_due(world.pool, world.run_id))
    await written.wait()
    # The match is written and its row in `due` deleted, neither of them committed.
    touching = asyncio.create_task(touch(world, of, wearer, incident))
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while not await world.pool.fetchval(waits):  # noqa: ASYNC110 - another connection's wait is seen by asking only
        await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(evaluation, touching)
    assert await world.matches() == {("C1", "W1"): 2}
    assert await world.pool.fetchval("SELECT count(*) FROM due") == 1


@pytest.mark.parametrize("is_judged", [False, True])
async def test_a_pair_whose_incident_was_amended_is_touched_by_what_the_new_version_looks_at(
    world: World, *, is_judged: bool
) -> None:
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.join()
    if is_judged:
        await world.evaluate()
    later_s = 100_000  # beyond all that the first version looks at
    await world.crime("C1", from_s=later_s, to_s=later_s + 60)
    await world.join()
    before = await world.pool.fetchval("SELECT generation FROM due")
    await world.pings(device, Fix(later_s, 9_000))  # no hit, so nothing but the context makes it news
    await world.join()
    assert await world.pool.fetchval("SELECT generation FROM due") > before


async def test_pings_that_can_change_no_pair_wait_for_nobody_who_touches_some(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    async with world.pool.acquire() as c, c.transaction():
        await c.execute(LOCK)
        async with asyncio.timeout(10):
            await world.join()
    assert await world.pool.fetchval("SELECT count(*) FROM ping_batch WHERE matched_at IS NULL") == 0
