"""The second stage: what was overtaken is written and evaluated once more, and what fails holds nothing up."""

import asyncio
from collections.abc import Callable, Coroutine
from uuid import UUID

import pytest

from app.matching import weighing
from app.matching.due import Touch, touch_wearers
from app.matching.evaluate_stage import Turn, evaluate_due
from matcher.weigh import judge
from tests.app.matching.world import INSIDE, NOON, Fix, World


async def due_pair(world: World) -> tuple[int, UUID]:
    """A device and its wearer who was at a crime, which is to be evaluated now."""
    device, wearer = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.join()
    return device, wearer


def meanwhile(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], Coroutine[object, object, None]]) -> None:
    """Have something happen during evaluations, until `undo`: once the contexts were read, in which it is not."""
    true_evaluation, loop = weighing.judge_all, asyncio.get_running_loop()

    def evaluation(*cases_and_contexts: object) -> object:
        # Runs in a thread.
        asyncio.run_coroutine_threadsafe(happen(), loop).result()
        return true_evaluation(*cases_and_contexts)  # type: ignore[arg-type]

    monkeypatch.setattr(weighing, "judge_all", evaluation)


async def test_what_was_overtaken_is_written_and_evaluated_once_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, _ = await due_pair(world)

    async def overtaken() -> None:
        await world.pings(device, Fix(30, 5))
        await world.join()

    meanwhile(monkeypatch, overtaken)
    assert await evaluate_due(world.pool, world.run_id) == 1
    # However fast pings come, people are told of what is known.
    assert await world.matches() == {("C1", "W1"): 2}
    assert await world.alerts() == {("C1", "W1"): ("new", 1)}
    row = await world.pool.fetchrow("SELECT causes, is_again, claim_token FROM due")
    assert row is not None
    assert (set(row["causes"]), row["is_again"], row["claim_token"]) == ({"pings"}, True, None)
    monkeypatch.undo()
    await world.evaluate()
    assert await world.matches() == {("C1", "W1"): 3}
    assert await world.alerts() == {("C1", "W1"): ("new", 2)}


async def test_a_ping_that_only_falls_into_the_context_overtakes_an_evaluation_too(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, Fix(0, -400), Fix(120, 400))
    await world.join()
    before = await world.pool.fetchval("SELECT generation FROM due")
    # No hit by itself, and no match is there yet; but with it, the line through the circle is none.
    await world.pings(device, Fix(60, 9_000))
    await world.join()
    assert await world.pool.fetchval("SELECT generation FROM due") > before


async def test_an_amendment_overtakes_an_evaluation_that_has_no_match_yet(world: World) -> None:
    await due_pair(world)
    before = await world.pool.fetchval("SELECT generation FROM due")
    await world.crime("C1", north_m=5_000.0)
    await world.join()
    assert await world.pool.fetchval("SELECT generation FROM due") > before
    await world.evaluate()
    assert await world.matches() == {}


@pytest.mark.parametrize("correction", ["amended", "withdrawn", "fitted to another"])
async def test_nothing_is_said_of_a_crime_or_a_fitting_that_was_corrected_during_the_evaluation(
    world: World, monkeypatch: pytest.MonkeyPatch, correction: str
) -> None:
    _, wearer = await due_pair(world)

    async def correct() -> None:
        if correction == "fitted to another":
            await world.pool.execute("UPDATE effective_activation SET wearer_id = $1", await world.wearer("W2"))
            async with world.pool.acquire() as connection, connection.transaction():
                await touch_wearers(connection, [Touch(wearer, NOON, NOON)], "fittings")
        elif correction == "withdrawn":
            await world.crime("C1", is_withdrawn=True)
        else:
            # Not joined again yet: the version alone tells.
            await world.crime("C1", north_m=5_000.0)

    meanwhile(monkeypatch, correct)
    assert await evaluate_due(world.pool, world.run_id) == 1
    monkeypatch.undo()
    await world.settle()
    assert await world.revisions() == []
    assert await world.matches() == {}


async def test_a_pair_that_failed_is_tried_again_at_once_if_it_was_touched_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, _ = await due_pair(world)

    async def overtaken() -> None:
        await world.pings(device, Fix(30, 5))
        await world.join()

    def fails(*_: object) -> object:
        raise ZeroDivisionError

    meanwhile(monkeypatch, overtaken)
    monkeypatch.setattr(weighing, "judge", fails)
    assert await evaluate_due(world.pool, world.run_id) == 1
    monkeypatch.undo()
    await world.evaluate()
    assert await world.matches() == {("C1", "W1"): 3}


async def test_an_evaluation_that_hung_and_lost_its_claim_writes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, _ = await due_pair(world)

    async def others_go_on() -> None:
        monkeypatch.undo()
        await world.pool.execute("UPDATE due SET claimed_until = now()")
        await world.evaluate()
        await world.pings(device, Fix(30, 5))
        await world.join()

    meanwhile(monkeypatch, others_go_on)
    assert await evaluate_due(world.pool, world.run_id) == 1
    # The pair is due anew, and not its own any more: what the one that hung has found is of before.
    assert await world.pool.fetchval("SELECT count(*) FROM due") == 1
    assert await world.matches() == {("C1", "W1"): 2}
    await world.evaluate()
    assert await world.matches() == {("C1", "W1"): 3}


async def test_a_pair_that_cannot_be_evaluated_does_not_hold_up_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("W1", "W2"):
        device, _ = await world.worn_device(name)
        await world.pings(device, *INSIDE)
    await world.crime("C1")
    await world.join()

    calls = []

    def fails_once(*args: object) -> object:
        calls.append(args)
        if len(calls) == 1:
            raise ZeroDivisionError
        return judge(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(weighing, "judge", fails_once)
    await world.evaluate()
    assert len(await world.matches()) == 1
    row = await world.pool.fetchrow("SELECT attempts, last_error, claimed_until > now() AS is_held_back FROM due")
    assert row is not None
    assert (row["attempts"], row["last_error"], row["is_held_back"]) == (1, "ZeroDivisionError: ", True)
    await world.pool.execute("UPDATE due SET claimed_until = now()")
    await world.evaluate()
    assert len(await world.matches()) == 2


async def test_a_pair_that_is_touched_while_its_result_is_written_is_given_back_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, wearer = await due_pair(world)
    async with world.pool.acquire() as toucher:

        async def begin_to_touch() -> None:
            await toucher.execute("BEGIN")
            await touch_wearers(toucher, [Touch(wearer, NOON, NOON)], "pings")

        meanwhile(monkeypatch, begin_to_touch)
        evaluation = asyncio.create_task(evaluate_due(world.pool, world.run_id))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while not await world.pool.fetchval(waits):  # noqa: ASYNC110 - another connection's wait is seen by asking only
            await asyncio.sleep(0.005)
        # It has left the locked row alone, and waits for the touch to be over.
        await toucher.execute("COMMIT")
        await evaluation
    assert await world.matches() == {}
    assert await world.pool.fetchval("SELECT claim_token IS NULL AND claimed_until IS NULL FROM due")
    monkeypatch.undo()
    await world.evaluate()
    assert await world.matches() == {("C1", "W1"): 2}


async def test_pairs_that_only_more_pings_have_touched_wait_for_their_own_turn(world: World) -> None:
    first, _ = await world.worn_device("W1")
    second, wearer = await world.worn_device("W2")
    await world.crime("C1")
    for device in (first, second):
        await world.pings(device, *INSIDE)
        await world.join()
        await world.evaluate()
    third, _ = await world.worn_device("W3")
    for device in (first, second):
        await world.pings(device, Fix(30, 5))
    await world.join()
    assert await evaluate_due(world.pool, world.run_id, turn=Turn.FIRST) == 0
    await world.pings(third, *INSIDE)
    async with world.pool.acquire() as connection, connection.transaction():
        await touch_wearers(connection, [Touch(wearer, NOON, NOON)], "fittings")
    await world.join()
    # A pair that is new, and one that was touched by more than pings.
    assert await evaluate_due(world.pool, world.run_id, turn=Turn.FIRST) == 2
    assert await evaluate_due(world.pool, world.run_id, turn=Turn.AGAIN) == 1
    assert set((await world.matches()).values()) == {2, 3}
