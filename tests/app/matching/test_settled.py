"""What stands when everything that was sent is matched, in whatever order pings, crimes and fittings came."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import permutations
from unittest.mock import ANY

import pytest

from tests.app.matching.world import INSIDE, NOON, Fix, World


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
        assert evidence == evidence | {
            "schema": 3,
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
