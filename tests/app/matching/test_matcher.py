"""The matcher's two stages: what becomes of pings, incidents and fittings, in whatever order they come."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import permutations
from unittest.mock import ANY

import asyncpg
import pytest

from app.db import Connection
from app.matching import evaluate_stage, join_stage
from app.matching.context import Context
from app.matching.due import Touch, touch_wearers
from app.matching.evaluate_stage import Claimed, evaluate_due
from app.matching.join_stage import join_batches
from app.matching.lease import LEASE, LeaseLost
from app.matching.open_incidents import OpenIncidents
from matcher.evidence import evaluate
from tests.app.matching.world import NOON, Fix, World

INSIDE = (Fix(-60, 500), Fix(0, 20), Fix(60, 30), Fix(120, 600))


async def test_a_ping_that_comes_after_the_crime_makes_a_match_and_an_alert(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.settle()
    await world.pings(device, *INSIDE)
    await world.settle()
    assert await world.matches() == {("C1", "W1"): 2}
    assert await world.alerts() == {("C1", "W1"): ("new", 1)}
    assert await world.revisions() == [("raised", "First match.")]


async def test_a_crime_that_comes_after_the_pings_makes_the_same_match(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    await world.settle()
    await world.crime("C1")
    await world.settle()
    assert await world.matches() == {("C1", "W1"): 2}
    assert await world.alerts() == {("C1", "W1"): ("new", 1)}


async def test_nobody_is_matched_who_was_near_at_another_time_or_elsewhere(world: World) -> None:
    early, _ = await world.worn_device("early")
    far, _ = await world.worn_device("far")
    await world.crime("C1")
    await world.pings(early, Fix(-2000, 0), Fix(-1900, 0))
    await world.pings(far, Fix(0, 150), Fix(60, 150))
    await world.settle()
    assert await world.matches() == {}
    assert await world.alerts() == {}


async def test_a_line_between_two_pings_of_two_batches_is_a_match_without_an_alert(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, Fix(0, -400))
    await world.settle()
    assert await world.matches() == {}
    await world.pings(device, Fix(60, 400))
    await world.settle()
    assert await world.matches() == {("C1", "W1"): 0}
    assert await world.alerts() == {}


@pytest.mark.parametrize("is_crime_first", [True, False])
async def test_a_line_that_begins_before_the_window_and_ends_after_it_is_seen(
    world: World, is_crime_first: bool
) -> None:
    # Padded, the window is 11:50 to 12:10; each line crosses one end of it.
    edges = {"before": (-660, -540, 0.0), "after": (540, 660, 20_000.0)}
    for name, (from_s, to_s, away_m) in edges.items():
        device, _ = await world.worn_device(name)
        steps: list[Callable[[], Awaitable[object]]] = [
            partial(world.crime, name, from_s=0, to_s=0, north_m=away_m),
            partial(world.pings, device, Fix(from_s, away_m - 200), Fix(to_s, away_m + 200)),
        ]
        for step in steps if is_crime_first else reversed(steps):
            await step()
            await world.settle()
    assert await world.matches() == {("before", "before"): 0, ("after", "after"): 0}


async def test_a_late_ping_between_two_others_takes_a_match_back(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, Fix(0, -400), Fix(120, 400))
    await world.settle()
    assert await world.matches() == {("C1", "W1"): 0}
    # Four kilometres off in between: the two lines that are left imply too high a speed.
    await world.pings(device, Fix(60, 9_000))
    await world.settle()
    assert await world.matches() == {}


async def test_a_later_ping_inside_revises_the_alert_and_says_why(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.settle()
    await world.pings(device, Fix(30, 5))
    await world.settle()
    assert await world.alerts() == {("C1", "W1"): ("new", 2)}
    (_, raised), (kind, why) = await world.revisions()
    assert (raised, kind) == ("First match.", "revised")
    assert "positions inside from 2 to 3" in why


async def test_an_amended_crime_withdraws_the_alert_and_a_second_amendment_reopens_it(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    await world.crime("C1")
    await world.settle()
    await world.crime("C1", north_m=5_000.0)
    await world.settle()
    assert await world.matches() == {}
    assert await world.alerts() == {("C1", "W1"): ("withdrawn", 2)}
    await world.crime("C1", north_m=10.0)
    await world.settle()
    assert await world.matches() == {("C1", "W1"): 2}
    assert await world.alerts() == {("C1", "W1"): ("in_review", 3)}
    assert [kind for kind, _ in await world.revisions()] == ["raised", "withdrawn", "reopened"]


async def test_a_withdrawn_crime_takes_its_matches_with_it(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    await world.crime("C1")
    await world.settle()
    await world.crime("C1", is_withdrawn=True)
    await world.settle()
    assert await world.matches() == {}
    assert await world.alerts() == {("C1", "W1"): ("withdrawn", 2)}
    await world.pings(device, Fix(30, 0))
    await world.join()
    assert await world.pool.fetchval("SELECT count(*) FROM due") == 0


async def test_a_match_is_of_whoever_wore_the_tag_then(world: World) -> None:
    device = await world.device("D1")
    before, after = await world.wearer("before"), await world.wearer("after")
    await world.fit(device, before, -36_000, 30)
    await world.fit(device, after, 30, None)
    await world.crime("C1")
    await world.pings(device, Fix(0, 0), Fix(20, 10), Fix(60, 20))
    await world.settle()
    assert await world.matches() == {("C1", "before"): 2, ("C1", "after"): 1}


async def test_no_line_is_drawn_between_two_fittings(world: World) -> None:
    device = await world.device("D1")
    wearer, other = await world.wearer("W1"), await world.wearer("other")
    await world.fit(device, wearer, -36_000, 10)
    await world.fit(device, other, 10, 50)
    await world.fit(device, wearer, 50, None)
    await world.crime("C1")
    # Of the wearer alone, the first and the third fix are a line through the circle; the last is a true visit.
    await world.pings(device, Fix(0, -400), Fix(30, 9_000), Fix(60, 400), Fix(120, 50))
    await world.settle()
    assert await world.matches() == {("C1", "W1"): 1}
    assert await world.pool.fetchval("SELECT evidence ->> 'enter_at' FROM match") > "2026-03-14T12:01:30"


async def test_the_hit_of_an_unassigned_device_waits_for_its_activation(world: World) -> None:
    device, wearer = await world.device("D1"), await world.wearer("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.settle()
    assert await world.matches() == {}
    await world.fit(device, wearer)
    await world.pool.execute(
        "INSERT INTO rejoin (device_id, from_at, to_at) VALUES ($1, $2, 'infinity')", device, NOON - timedelta(hours=10)
    )
    await world.settle()
    assert await world.matches() == {("C1", "W1"): 2}


async def test_any_order_of_arrival_ends_in_the_same_evidence(world: World) -> None:
    for number, order in enumerate(permutations(range(4))):
        # Each order has its own crime and person, far from the others.
        away_m = 20_000.0 * number
        device, _ = await world.worn_device(f"W{number}")
        fixes = [Fix(f.seconds, f.north_m + away_m) for f in INSIDE]
        steps: list[Callable[[], Awaitable[object]]] = [
            partial(world.pings, device, fixes[0], fixes[2]),
            partial(world.pings, device, fixes[1]),
            partial(world.pings, device, fixes[3]),
            partial(world.crime, f"C{number}", north_m=away_m),
        ]
        for step in order:
            await steps[step]()
            await world.settle()
    found = [row["evidence"] for row in await world.pool.fetch("SELECT evidence FROM match WHERE is_live")]
    assert len(found) == 24
    for evidence in found:
        assert evidence == {
            "schema": 1,
            "verdict": "present",
            "radius_m": 100.0,
            "n_pings": 2,
            "min_dist_m": pytest.approx(20, abs=0.5),
            "closest_at": "2026-03-14T12:00:00.000000Z",
            "first_at": "2026-03-14T12:00:00.000000Z",
            "last_at": "2026-03-14T12:01:00.000000Z",
            "near_m": pytest.approx(20, abs=0.5),
            "near_at": "2026-03-14T12:00:00.000000Z",
            "enter_at": ANY,
            "leave_at": ANY,
            "inside_s": pytest.approx(10 + 60 + 7.4, abs=0.5),
            "visits": 1,
        }


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


async def test_a_result_that_was_overtaken_is_thrown_away_and_computed_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.join()

    true_evaluation = evaluate_stage._evaluate_all

    async def overtaken() -> None:
        await world.pings(device, Fix(30, 5))
        await world.join()

    loop = asyncio.get_running_loop()

    def slow(contexts: object) -> object:
        # Runs in a thread: what comes in now is not in the contexts that were read.
        asyncio.run_coroutine_threadsafe(overtaken(), loop).result()
        return true_evaluation(contexts)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluate_stage, "_evaluate_all", slow)
    assert await evaluate_due(world.pool, world.run_id) == 1
    assert await world.matches() == {}
    monkeypatch.undo()
    await world.evaluate()
    assert await world.matches() == {("C1", "W1"): 3}
    assert await world.alerts() == {("C1", "W1"): ("new", 1)}


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
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.join()
    before = await world.pool.fetchval("SELECT generation FROM due")
    await world.crime("C1", north_m=5_000.0)
    await world.join()
    assert await world.pool.fetchval("SELECT generation FROM due") > before
    await world.evaluate()
    assert await world.matches() == {}


async def test_a_touch_sees_a_match_that_is_written_in_the_same_moment(world: World) -> None:
    device, wearer = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.join()
    touch = [Touch(wearer, NOON, NOON)]
    async with world.pool.acquire() as c:
        async with c.transaction():
            await touch_wearers(c, touch)
            # The row is locked by the touch: the evaluation leaves the pair alone.
            assert await evaluate_due(world.pool, world.run_id) == 0
        await world.evaluate()
        assert await world.matches() == {("C1", "W1"): 2}
        await c.execute("BEGIN")
        await touch_wearers(c, touch)
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


async def test_an_evaluation_that_hung_knows_its_pair_again_only_by_its_generation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.join()
    true_evaluation = evaluate_stage._evaluate_all
    loop = asyncio.get_running_loop()

    async def others_go_on() -> None:
        monkeypatch.undo()
        await world.pool.execute("UPDATE due SET claimed_until = now()")
        await world.evaluate()
        await world.pings(device, Fix(30, 5))
        await world.join()

    def hangs(contexts: list[Context]) -> object:
        asyncio.run_coroutine_threadsafe(others_go_on(), loop).result()
        return true_evaluation(contexts)

    monkeypatch.setattr(evaluate_stage, "_evaluate_all", hangs)
    assert await evaluate_due(world.pool, world.run_id) == 1
    # The pair is due anew: what the one that hung has found is of before.
    assert await world.pool.fetchval("SELECT count(*) FROM due") == 1
    await world.evaluate()
    assert await world.matches() == {("C1", "W1"): 3}


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
        return evaluate(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluate_stage, "evaluate", fails_once)
    await world.evaluate()
    assert len(await world.matches()) == 1
    row = await world.pool.fetchrow("SELECT attempts, last_error, claimed_until > now() AS is_held_back FROM due")
    assert row is not None
    assert (row["attempts"], row["last_error"], row["is_held_back"]) == (1, "ZeroDivisionError: ", True)
    await world.pool.execute("UPDATE due SET claimed_until = now()")
    await world.evaluate()
    assert len(await world.matches()) == 2


async def test_positions_on_the_stream_never_appear_below_one_that_was_seen(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    for reference in ("C1", "C2", "C3"):
        await world.crime(reference)
        await world.settle()
    positions = [r["position"] for r in await world.pool.fetch("SELECT position FROM outbox ORDER BY outbox_id")]
    assert positions == sorted(positions)
    assert len(positions) == 3


async def test_times_outside_a_datetime_are_infinity() -> None:
    from app.times import to_datetime, to_us

    assert to_us(to_datetime(-1)) == -1
    assert to_datetime(2**62) == datetime.max.replace(tzinfo=UTC)


async def test_history_cannot_be_changed(world: World) -> None:
    await world.crime("C1")
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await world.pool.execute("UPDATE incident_version SET offence = 'RB'")
