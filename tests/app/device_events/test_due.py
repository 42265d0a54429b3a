"""What an event makes due: the pairs whose context holds it, and no others."""

import asyncio
from typing import Any

import httpx
import pytest

from app.access.keys import find_viewer
from app.activations.schemas import PostedActivation
from app.activations.store import store_activations
from app.db import Connection, Pool
from app.identity import incident_id, wearer_id
from app.rows import Row
from tests.app.conftest import MakeKey
from tests.app.device_events.conftest import Post
from tests.app.device_events.examples import a_fitting, an_event, noon
from tests.app.incidents.examples import an_incident

Json = Any

ADD_DUE = """
INSERT INTO due (incident_id, wearer_id, generation, context_from_at, context_to_at)
VALUES ($1, $2, 0, $3, $4)
ON CONFLICT (incident_id, wearer_id) DO UPDATE SET generation = 0
"""
TOUCHED = "SELECT i.reference FROM due JOIN incident i USING (incident_id) WHERE generation > 0 ORDER BY 1"
GENERATION = "SELECT generation FROM due WHERE wearer_id = $1"
WAITING_FOR_A_LOCK = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""

CONTEXTS = {"early": (noon(2), noon(6)), "late": (noon(10), noon(14))}


@pytest.fixture
async def pairs(service: httpx.AsyncClient, make_key: MakeKey, gps: dict[str, str], connection: Connection) -> None:
    """W1 with two incidents, evaluated once before: one looks at 2 to 6 January, one at 10 to 14."""
    assert gps
    force = await make_key("met", "force", "incidents:write")
    incidents = [an_incident(reference=reference) for reference in CONTEXTS]
    assert (await service.post("/v1/incidents", json=incidents, headers=force)).json()["created"] == len(CONTEXTS)
    await forget(connection)


async def forget(connection: Connection) -> None:
    for reference, context in CONTEXTS.items():
        await connection.execute(ADD_DUE, incident_id("met", reference), wearer_id("W1"), *context)


async def touched(connection: Connection) -> list[str]:
    return [row["reference"] for row in await connection.fetch(TOUCHED)]


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (an_event(5), ["early"]),
        (an_event(2), ["early"]),
        (an_event(6), ["early"]),
        (an_event(8), []),
        (an_event(12), ["late"]),
        (an_event(5, device_id="TAG2"), []),
        (an_event(5, void=True), []),
    ],
)
async def test_a_pair_becomes_due_if_its_context_holds_the_event_and_its_wearer_wore_the_device(
    post: Post,
    connection: Connection,
    event: Json,
    expected: list[str],
) -> None:
    await post(event)
    assert await touched(connection) == expected


@pytest.mark.usefixtures("pairs")
async def test_an_event_before_the_fitting_is_nobodys(post: Post, connection: Connection, gps: dict[str, str]) -> None:
    assert gps
    await post(an_event(at="2025-12-31T12:00:00Z"))
    assert await touched(connection) == []


@pytest.mark.usefixtures("pairs")
async def test_a_revision_that_moves_an_event_touches_where_it_was_and_where_it_is(
    post: Post, connection: Connection
) -> None:
    await post(an_event(5))
    await forget(connection)
    await post(an_event(12, revision=2))
    assert await touched(connection) == ["early", "late"]


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        ({"revision": 4, "void": True}, ["early"]),
        ({"revision": 4, "detail": "seen by an officer"}, ["early"]),
        ({"revision": 4, "device_id": "TAG2"}, ["early"]),
        ({"revision": 4}, []),
        ({"revision": 3}, []),
        ({"revision": 2, "kind": "battery_flat"}, []),
    ],
)
async def test_a_revision_touches_only_if_something_else_counts_now(
    post: Post,
    connection: Connection,
    correction: Json,
    expected: list[str],
) -> None:
    await post(an_event(5, revision=3))
    await forget(connection)
    await post(an_event(5, **correction))
    assert await touched(connection) == expected


@pytest.mark.usefixtures("pairs")
async def test_an_event_posted_while_a_fitting_is_being_stored_is_seen_by_its_wearer(
    pool: Pool, post: Post, gps: dict[str, str], connection: Connection
) -> None:
    """The fitting commits after the event was sent and before it is answered; its wearer must not miss the event."""
    fitting = PostedActivation(**a_fitting(wearer_reference="W2", activation_id="F2", fitted_at=noon(3).isoformat()))
    async with pool.acquire() as other:
        viewer = await find_viewer(other, gps["Authorization"].removeprefix("Bearer "))
        async with other.transaction():
            await store_activations(other, viewer, [Row(1, fitting)])
            await other.execute(ADD_DUE, incident_id("met", "early"), wearer_id("W2"), *CONTEXTS["early"])
            posting = asyncio.create_task(post(an_event(5)))
            # Another connection's wait is seen by asking only.
            while not (posting.done() or await connection.fetchval(WAITING_FOR_A_LOCK)):  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.01)
        await posting
    assert await connection.fetchval(GENERATION, wearer_id("W2")) > 0
