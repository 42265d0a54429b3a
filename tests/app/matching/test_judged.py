"""What makes a pair that was judged due again, and what does not: exactly what its evidence looked at."""

from typing import Any

import pytest

from app.db import Pool
from app.matching.due import Touch
from matcher.context import FLANK
from matcher.profile import STANDARD
from tests.app.matching.world import NOON, Fix, World

MINUTE = 60.0
# Padded, the window of the world's crime ends at 12:15.
END = 15
DUE = "SELECT count(*) FROM due"


@pytest.fixture
async def world(pool: Pool) -> World:
    made = World(pool)
    await made.found(STANDARD)
    return made


def at(minute: float, north_m: float) -> Fix:
    return Fix(minute * MINUTE, north_m)


def walk(last_minute: int) -> list[Fix]:
    """A fix a minute from 11:20: at the place from 11:57 to 12:03, then 80 m further away with each."""
    return [at(m, 80.0 * (abs(m) - 3) if abs(m) > 3 else 5.0) for m in range(-40, last_minute + 1)]


async def judged(world: World, *fixes: Fix) -> int:
    """One who was at the scene, weighed; gives the device."""
    device, _ = await world.worn_device("W1")
    await world.crime("C1", profile="standard")
    await world.pings(device, *fixes, accuracy_m=8.0)
    await world.settle()
    return device


async def evidence(world: World) -> Any:  # noqa: ANN401 - JSON
    return [dict(row) for row in await world.pool.fetch("SELECT is_live, verdict, evidence, said FROM match")]


async def weigh_everything_again(world: World) -> None:
    wearers = await world.pool.fetch("SELECT wearer_id FROM wearer")
    await world.touch(*(Touch(row["wearer_id"], NOON.replace(year=2020), NOON.replace(year=2030)) for row in wearers))
    assert await world.pool.fetchval(DUE) > 0
    await world.evaluate()


async def is_due_after(world: World, device: int, *fixes: Fix) -> bool:
    await world.pings(device, *fixes, accuracy_m=8.0)
    await world.join()
    return bool(await world.pool.fetchval(DUE))


async def test_pings_after_enough_others_leave_a_judged_pair_alone_and_would_change_nothing(world: World) -> None:
    device = await judged(world, *walk(END + FLANK))
    before = await evidence(world)
    assert [row["verdict"] for row in before] == ["present"]
    assert not await is_due_after(world, device, *walk(90)[END + FLANK + 41 :])
    await weigh_everything_again(world)
    assert await evidence(world) == before


async def test_a_ping_before_that_makes_it_due_and_changes_what_it_should(world: World) -> None:
    device = await judged(world, *walk(END + FLANK))
    before = await evidence(world)
    assert await is_due_after(world, device, at(END + 0.5, 700.0))
    await world.evaluate()
    await weigh_everything_again(world)
    assert await is_due_after(world, device, at(0.5, 60.0))
    await world.evaluate()
    assert await evidence(world) != before


@pytest.mark.parametrize(("minute", "is_due"), [(END + FLANK - 0.5, True), (END + FLANK + 0.001, False)])
async def test_the_last_ping_that_counts_is_the_last_before_which_another_one_does(
    world: World, minute: float, is_due: bool
) -> None:
    device = await judged(world, *walk(END + FLANK))
    assert await is_due_after(world, device, at(minute, 80.0 * (minute - 3))) is is_due


async def test_without_enough_pings_after_the_window_every_one_makes_it_due(world: World) -> None:
    device = await judged(world, *walk(END + FLANK - 1))
    assert await is_due_after(world, device, at(END + 200, 9_000.0))
    await world.evaluate()
    assert not await is_due_after(world, device, at(END + 300, 9_000.0))


async def test_pings_one_by_one_end_in_what_they_end_in_at_once(world: World) -> None:
    device = await judged(world)
    for fix in walk(END + FLANK + 3):
        await world.pings(device, fix, accuracy_m=8.0)
        await world.settle()
    one_by_one = await evidence(world)
    assert len(one_by_one) == 1
    await weigh_everything_again(world)
    assert await evidence(world) == one_by_one


async def test_the_days_before_count_only_for_who_was_there(world: World) -> None:
    there = await judged(world, *walk(END + FLANK))
    beside, _ = await world.worn_device("W2")
    await world.pings(beside, *(Fix(f.seconds, f.north_m + 250) for f in walk(END + FLANK)), accuracy_m=8.0)
    await world.settle()
    await world.pool.execute("UPDATE effective_activation SET from_at = from_at - interval '2 days'")
    yesterday = -24 * 60
    assert not await is_due_after(world, beside, at(yesterday, 0.0))
    assert await is_due_after(world, there, at(yesterday, 0.0))


async def test_who_was_near_without_a_match_is_remembered_until_a_late_ping_makes_one(world: World) -> None:
    # 330 m off all the time: a candidate, and nothing that would ever reach the circle.
    device = await judged(world, *(at(m, 330.0) for m in range(-40, END + FLANK + 1)))
    assert await evidence(world) == []
    assert await world.pool.fetchval("SELECT count(*) FROM judged_pair") == 1
    await world.pings(device, at(0.5, 20.0), accuracy_m=8.0)
    await world.settle()
    assert [row["is_live"] for row in await evidence(world)] == [True]


async def test_a_match_that_is_none_any_more_is_forgotten_once_the_join_does_not_find_it(world: World) -> None:
    await judged(world, *walk(END + FLANK))
    await world.crime("C1", profile="standard", north_m=50_000.0)
    await world.settle()
    assert [row["is_live"] for row in await evidence(world)] == [False]
    assert await world.pool.fetchval("SELECT count(*) FROM judged_pair") == 0


async def test_the_reason_for_a_revision_is_what_made_the_pair_due(world: World) -> None:
    device = await judged(world, *walk(END + FLANK))
    await world.pings(device, at(0.5, 20.0), accuracy_m=8.0)
    await world.settle()
    (raised, _), (kind, why) = await world.revisions()
    assert (raised, kind) == ("raised", "revised")
    assert why.startswith("Later pings moved positions inside from 7 to 8")


async def test_what_a_force_says_of_its_position_counts_in_place_of_the_profiles_own(world: World) -> None:
    await judged(world, *(at(m, 20.0 if abs(m) <= 3 else 80.0 * abs(m)) for m in range(-40, END + FLANK + 1)))
    (before,) = await evidence(world)
    await world.crime("C1", profile="standard", position_r95_m=300.0)
    await world.settle()
    (after,) = await evidence(world)
    assert after["evidence"]["inside"]["highest"] < before["evidence"]["inside"]["highest"]
