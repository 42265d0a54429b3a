"""The first stage: no pair falls between a batch and a crime, and a claim belongs to one worker at a time."""

import asyncio

import pytest

from app.matching import join_stage
from app.matching.join_stage import join_arrivals, join_batches
from app.matching.lease import LEASE, LeaseLost
from app.matching.open_incidents import OpenIncidents
from tests.app.matching.world import INSIDE, Fix, World


async def test_a_crime_that_commits_while_a_batch_is_joined_still_meets_it(world: World) -> None:
    device, _ = await world.worn_device("W1")
    async with world.pool.acquire() as c:
        transaction = c.transaction()
        await transaction.start()
        await world.crime("C1", c)
        # The batch is joined while the crime cannot be seen yet …
        await world.pings(device, *INSIDE)
        await world.settle()
        assert await world.matches() == {}
        await transaction.commit()
    # … so the crime's arrival has to find the pings.
    await world.settle()
    assert await world.matches() == {("C1", "W1"): 2}


async def test_pings_that_commit_while_a_crime_is_joined_still_meet_it(world: World) -> None:
    device, _ = await world.worn_device("W1")
    async with world.pool.acquire() as c:
        transaction = c.transaction()
        await transaction.start()
        await world.pings(device, *INSIDE, connection=c)
        await world.crime("C1")
        await world.settle()
        assert await world.matches() == {}
        await transaction.commit()
    await world.settle()
    assert await world.matches() == {("C1", "W1"): 2}


async def test_a_claim_that_ran_out_writes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.join()
    await world.pings(device, *INSIDE)

    true_join = join_stage._find_candidates

    loop = asyncio.get_running_loop()

    async def taken_over() -> None:
        await world.pool.execute("UPDATE ping_batch SET claimed_until = now() - interval '1 s'")
        monkeypatch.undo()
        assert await join_batches(world.pool, OpenIncidents()) == 1

    def slow(*args: object) -> object:
        asyncio.run_coroutine_threadsafe(taken_over(), loop).result()
        return true_join(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(join_stage, "_find_candidates", slow)
    generation = "SELECT max(generation) FROM due"
    with pytest.raises(LeaseLost):
        await join_batches(world.pool, world.batches)
    once = await world.pool.fetchval(generation)
    await world.evaluate()
    assert await world.matches() == {("C1", "W1"): 2}
    assert once is not None


async def test_work_that_is_claimed_is_not_claimed_again_until_the_lease_ends(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    await world.pool.execute("UPDATE ping_batch SET claim_token = gen_random_uuid(), claimed_until = now() + $1", LEASE)
    assert await join_batches(world.pool, world.batches) == 0
    await world.pool.execute("UPDATE ping_batch SET claimed_until = now()")
    assert await join_batches(world.pool, world.batches) == 1


# Pieces of trails are read four hours at a time; noon is the end of one of them.
WRITTEN = """
SELECT i.reference FROM due JOIN incident AS i USING (incident_id) WHERE due.causes = '{incident}' ORDER BY 1
"""
DRAWN = "SELECT last_value FROM due_generation"


async def test_what_is_found_of_many_crimes_is_written_crime_by_crime_and_each_pair_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join_stage, "CANDIDATES_A_WRITE", 1)
    device, _ = await world.worn_device("W1")
    await world.pings(device, *(Fix(60 * minute, 20) for minute in range(-120, 121)))
    await world.settle()
    await world.crime("over noon", from_s=-3_600, to_s=3_600)
    await world.crime("before noon", from_s=-6_000, to_s=-5_000)
    with monkeypatch.context() as dying:

        async def die(*_: object) -> None:
            raise LeaseLost

        dying.setattr(join_stage, "_finish", die)
        with pytest.raises(LeaseLost):
            await join_arrivals(world.pool, world.arrivals)
    assert [row["reference"] for row in await world.pool.fetch(WRITTEN)] == ["before noon", "over noon"]
    assert await world.pool.fetchval(DRAWN) == 2
    await world.pool.execute("UPDATE arrival SET claimed_until = now()")
    await world.evaluate()
    assert await world.matches() == {("before noon", "W1"): 37, ("over noon", "W1"): 141}
    # Whoever takes the claim over touches what was judged meanwhile, and finds it again.
    assert await join_arrivals(world.pool, world.arrivals) == 2
    assert await world.pool.fetchval(DRAWN) == 2 + 4
    await world.settle()
    assert await world.matches() == {("before noon", "W1"): 37, ("over noon", "W1"): 141}
