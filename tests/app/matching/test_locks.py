"""The matcher's two locks: around `due`, and around the stream's positions."""

import asyncio

import asyncpg

from app.alerts.dispatcher import dispatch
from app.db import Connection
from app.matching.due import Touch, touch_wearers
from app.matching.evaluate_stage import evaluate_due
from tests.app.matching.world import NOON, Fix, World

INSIDE = (Fix(-60, 500), Fix(0, 20), Fix(60, 30), Fix(120, 600))
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def until_somebody_waits(world: World, how_many: int = 1) -> None:
    while await world.pool.fetchval(WAITS) < how_many:  # noqa: ASYNC110 - another connection's wait is seen by asking only
        await asyncio.sleep(0.005)


async def test_two_that_touch_the_same_pairs_in_opposite_order_do_not_wait_for_each_other(world: World) -> None:
    touches = list[Touch]()
    for name in ("W1", "W2"):
        device, wearer = await world.worn_device(name)
        await world.pings(device, *INSIDE)
        touches.append(Touch(wearer, NOON, NOON))
    await world.crime("C1")
    await world.join()

    async def touch_both(connection: Connection, order: list[Touch]) -> None:
        async with connection.transaction():
            for touch in order:
                await touch_wearers(connection, [touch], "fittings")

    async with world.pool.acquire() as one, world.pool.acquire() as other:
        await one.execute("BEGIN")
        await touch_wearers(one, touches[:1], "fittings")
        second = asyncio.create_task(touch_both(other, touches[::-1]))
        # Without the lock it has touched the second pair by now, and waits for the first.
        await until_somebody_waits(world)
        await touch_wearers(one, touches[1:], "fittings")
        await one.execute("COMMIT")
        await second
    assert await world.pool.fetchval("SELECT count(*) FROM due") == 2


# Commits that changed the outbox wait for whoever holds this lock.
HOLD_UP_COMMITS = """
CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(77);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER wait_for_test AFTER UPDATE ON outbox DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait_for_test()
"""
READ = """
SELECT position, incident_id FROM outbox JOIN alert USING (alert_id) WHERE position > $1 ORDER BY position
"""


class Reader:
    """Reads the stream as clients do: what lies beyond the last position seen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: list[asyncpg.Record] = []

    async def read(self) -> None:
        self.seen += await self.world.pool.fetch(READ, self.seen[-1]["position"] if self.seen else 0)


async def test_two_dispatchers_at_once_tell_a_reader_of_every_revision_once(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    reader = Reader(world)
    await world.pool.execute(HOLD_UP_COMMITS)
    async with world.pool.acquire() as holder:
        await holder.execute("SELECT pg_advisory_lock(77)")
        await raise_alert(world, "C1")
        first = asyncio.create_task(dispatch(world.pool))
        await until_somebody_waits(world)
        # The first has drawn a position and not committed it: for the second that revision still has none.
        await raise_alert(world, "C2")
        second = asyncio.create_task(dispatch(world.pool))
        await until_somebody_waits(world, 2)
        await holder.execute("SELECT pg_advisory_unlock(77)")
        await first
        await reader.read()
        await second
        await reader.read()
    assert len(reader.seen) == 2
    assert len({row["incident_id"] for row in reader.seen}) == 2
    assert [await first, await second] == [1, 1]


async def raise_alert(world: World, reference: str) -> None:
    """As far as the outbox, and no further."""
    await world.crime(reference)
    await world.join()
    while await evaluate_due(world.pool, world.run_id):
        pass
