"""What a licence does to a match: it is shown, whenever it comes, and nothing is suppressed by it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.access.viewer import Viewer
from app.db import Pool
from app.licences.schemas import PostedLicence
from app.licences.store import store_licences
from app.rows import check_rows
from matcher.profile import STANDARD
from tests.app.matching.world import NOON, Fix, World

OUTSIDE = "The window lies outside the licence."
# The world's crime is from 11:55 to 12:05; ten minutes of padding belong to its window on either side.
WINDOW_FROM, WINDOW_TO = NOON - timedelta(minutes=15), NOON + timedelta(minutes=15)
MICROSECOND = timedelta(microseconds=1)
LONG_AGO = NOON - timedelta(days=400)


@pytest.fixture
async def world(pool: Pool) -> World:
    """One who was at the scene for some minutes, weighed before anything is known of a licence."""
    made = World(pool)
    await made.found(STANDARD)
    device, _ = await made.worn_device("W1")
    await pool.execute("UPDATE wearer SET force_id = $1", made.force_id)
    await made.crime("C1", profile="standard")
    walk = [Fix(60.0 * m, 80.0 * (abs(m) - 3) if abs(m) > 3 else 5.0) for m in range(-40, 41)]
    await made.pings(device, *walk, accuracy_m=8.0)
    await made.settle()
    return made


async def state(world: World, revision: int, from_at: datetime, to_at: datetime | None, **changed: object) -> None:
    record = {
        "licence_id": "L1",
        "revision": revision,
        "wearer_reference": "W1",
        "from": from_at.isoformat(),
        "to": to_at and to_at.isoformat(),
        **changed,
    }
    rows = check_rows([record], PostedLicence)
    async with world.pool.acquire() as c, c.transaction():
        outcome = await store_licences(c, Viewer(world.force_id, "Kent", "force", frozenset()), rows.good)
    assert not rows.errors + outcome.errors
    await world.evaluate()


async def shown(world: World) -> tuple[Any, bool]:
    row = await world.pool.fetchrow("SELECT evidence->'on_licence' AS on_licence, said FROM match WHERE is_live")
    assert row is not None
    return row["on_licence"], OUTSIDE in row["said"]["against"]


@pytest.mark.parametrize(
    ("from_at", "to_at", "expected"),
    [
        (LONG_AGO, None, (True, False)),
        (LONG_AGO, WINDOW_FROM, (False, True)),
        (LONG_AGO, WINDOW_FROM + MICROSECOND, (True, False)),
        (WINDOW_TO, None, (True, False)),
        (WINDOW_TO + MICROSECOND, None, (False, True)),
        # Far outside of all that the match looks at otherwise.
        (LONG_AGO, LONG_AGO + MICROSECOND, (False, True)),
    ],
)
async def test_the_evidence_says_whether_the_window_meets_the_licence(
    world: World, from_at: datetime, to_at: datetime | None, expected: tuple[bool, bool]
) -> None:
    assert await shown(world) == (None, False)
    await state(world, 1, from_at, to_at)
    assert await shown(world) == expected
    await state(world, 2, from_at, to_at, void=True)
    assert await shown(world) == (None, False)


async def test_an_alert_outside_the_licence_stands_and_says_so(world: World) -> None:
    before = await world.alerts()
    assert before == {("C1", "W1"): ("new", 1)}
    await state(world, 1, LONG_AGO, None)
    await state(world, 2, LONG_AGO, WINDOW_FROM)
    assert await world.alerts() == {("C1", "W1"): ("new", 3)}
    changed = "A new or corrected licence changed whether the window meets the licence."
    assert (await world.revisions())[1:] == [("revised", changed), ("revised", changed)]
