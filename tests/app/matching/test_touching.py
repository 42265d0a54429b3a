"""A touch of a wearer, and an evaluation of the same pair in the same moment."""

import asyncio

import pytest

from app.db import Connection
from app.matching import evaluate_stage
from app.matching.due import Touch, touch_wearers
from app.matching.evaluate_stage import Claimed, evaluate_due
from tests.app.matching.world import INSIDE, NOON, World


async def test_a_touch_sees_a_match_that_is_written_in_the_same_moment(world: World) -> None:
    device, wearer = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.join()
    touch = [Touch(wearer, NOON, NOON)]
    async with world.pool.acquire() as c:
        async with c.transaction():
            await touch_wearers(c, touch, "fittings")
            # The row is locked by the touch: the evaluation leaves the pair alone.
            assert await evaluate_due(world.pool, world.run_id) == 0
        await world.evaluate()
        assert await world.matches() == {("C1", "W1"): 2}
        await c.execute("BEGIN")
        await touch_wearers(c, touch, "fittings")
        await c.execute("COMMIT")
    assert await world.pool.fetchval("SELECT count(*) FROM due") == 1


async def test_a_touch_waits_for_an_evaluation_that_is_being_written_and_then_sees_its_match(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, wearer = await world.worn_device("W1")
    await world.crime("C1")
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
    touch = asyncio.create_task(world.touch(Touch(wearer, NOON, NOON)))
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while not await world.pool.fetchval(waits):  # noqa: ASYNC110 - another connection's wait is seen by asking only
        await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(evaluation, touch)
    assert await world.matches() == {("C1", "W1"): 2}
    assert await world.pool.fetchval("SELECT count(*) FROM due") == 1
