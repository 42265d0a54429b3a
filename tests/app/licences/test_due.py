"""What a licence makes due: the pairs of its wearer whose context holds a change, and no others."""

import asyncio
from typing import Any

import httpx
import pytest

from app.access.keys import find_viewer
from app.db import Connection, Pool
from app.identity import incident_id, wearer_id
from app.licences.schemas import PostedLicence
from app.licences.store import store_licences
from app.rows import check_rows
from tests.app.conftest import MakeKey
from tests.app.incidents.examples import an_incident
from tests.app.licences.conftest import Post
from tests.app.licences.examples import a_licence, noon

Json = Any

ADD_DUE = """
INSERT INTO due (incident_id, wearer_id, generation, context_from_at, context_to_at)
VALUES ($1, $2, 0, $3, $4)
ON CONFLICT (incident_id, wearer_id) DO UPDATE SET generation = 0
"""
TOUCHED = """
SELECT i.reference || ' ' || w.reference AS pair FROM due JOIN incident i USING (incident_id)
JOIN wearer w USING (wearer_id) WHERE generation > 0 ORDER BY 1
"""
WAITING_FOR_A_LOCK = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""
CONTEXTS = {"early": (noon(2), noon(6)), "late": (noon(10), noon(14)), "later": (noon(22), noon(24))}


@pytest.fixture
async def pairs(service: httpx.AsyncClient, make_key: MakeKey, north: dict[str, str], connection: Connection) -> None:
    """Two people, each with three incidents that look at different days of January; nothing is known of licences."""
    assert north
    force = await make_key("met", "force", "incidents:write")
    incidents = [an_incident(reference=reference) for reference in CONTEXTS]
    assert (await service.post("/v1/incidents", json=incidents, headers=force)).json()["created"] == len(CONTEXTS)
    await settle(connection)


async def settle(connection: Connection) -> None:
    for wearer in ("W1", "W2"):
        for reference, context in CONTEXTS.items():
            await connection.execute(ADD_DUE, incident_id("met", reference), wearer_id(wearer), *context)


async def touched(connection: Connection) -> list[str]:
    return [row["pair"] for row in await connection.fetch(TOUCHED)]


def every_pair_of(*wearers: str) -> list[str]:
    return sorted(f"{reference} {wearer}" for reference in CONTEXTS for wearer in wearers)


@pytest.mark.usefixtures("pairs")
async def test_the_first_licence_and_the_end_of_the_last_bear_on_every_pair_of_its_wearer(
    post: Post, connection: Connection
) -> None:
    """With none known the evidence says nothing; with one it says of every other time that it lies outside."""
    await post(a_licence())
    assert await touched(connection) == every_pair_of("W1")
    await settle(connection)
    await post(a_licence(revision=2, void=True))
    assert await touched(connection) == every_pair_of("W1")


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        ({"revision": 4, "to": noon(23).isoformat()}, ["later W1"]),
        ({"revision": 4, "to": None}, ["later W1"]),
        ({"revision": 4, "to": noon(12).isoformat()}, ["late W1"]),
        ({"revision": 4, "from": noon(5).isoformat()}, ["early W1"]),
        ({"revision": 4, "from": noon(8).isoformat(), "to": noon(23).isoformat()}, ["early W1", "later W1"]),
        ({"revision": 4, "from": noon(1).isoformat()}, ["early W1"]),
        ({"revision": 4, "wearer_reference": "W2"}, every_pair_of("W1", "W2")),
        ({"licence_id": "L2", "from": noon(10).isoformat()}, []),
        ({"licence_id": "L2", "to": noon(23).isoformat()}, ["later W1"]),
        ({"revision": 4}, []),
        ({"revision": 3}, []),
        ({"revision": 2, "to": None}, []),
    ],
)
async def test_a_correction_touches_what_it_changes_and_nothing_else(
    post: Post, connection: Connection, correction: Json, expected: list[str]
) -> None:
    await post(a_licence(revision=3))
    await settle(connection)
    await post(a_licence(**correction))
    assert await touched(connection) == expected


@pytest.mark.usefixtures("pairs")
async def test_what_two_organisations_take_back_at_once_is_touched(
    pool: Pool,
    service: httpx.AsyncClient,
    north: dict[str, str],
    post: Post,
    make_key: MakeKey,
    connection: Connection,
) -> None:
    """Each would else see the other's licence still standing over the same days."""
    met = await make_key("met", "force", "wearers:write")
    await service.post("/v1/wearers", json={"reference": "W1", "force": "met"}, headers=north)
    await post([a_licence(), a_licence(licence_id="L2", **{"from": noon(25).isoformat(), "to": None})])
    await post(a_licence(), met)
    await settle(connection)
    taken_back = a_licence(revision=2, void=True)
    async with pool.acquire() as other:
        viewer = await find_viewer(other, north["Authorization"].removeprefix("Bearer "))
        async with other.transaction():
            await store_licences(other, viewer, check_rows([taken_back], PostedLicence).good)
            posting = asyncio.create_task(post(taken_back, met))
            # Another connection's wait is seen by asking only.
            while not (posting.done() or await connection.fetchval(WAITING_FOR_A_LOCK)):  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.01)
        await posting
    assert await touched(connection) == ["early W1", "late W1"]
