"""More than the service can take: it says so, keeps what it took, and goes on."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI
from prometheus_client import REGISTRY

from app.db import Connection
from app.settings import Settings
from tests.app.conftest import MakeKey

PING = {"device_id": "T-1", "fixed_at": "2026-03-14T02:11:00Z", "lon": 1.08, "lat": 51.27}
BODY = json.dumps([PING]).encode()


class Slow:
    """A body of which the end is kept back."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def parts(self) -> AsyncIterator[bytes]:
        yield BODY[:5]
        await self.may_end.wait()
        yield BODY[5:]


async def until_in_work(bodies: int) -> None:
    async with asyncio.timeout(30):
        while REGISTRY.get_sample_value("trailmatch_bodies_in_work") != bodies:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)


async def test_who_does_not_fit_in_is_asked_to_come_again_and_fits_in_later(
    application: FastAPI, service: httpx.AsyncClient, make_key: MakeKey, connection: Connection
) -> None:
    application.state.settings = Settings(matcher=False, max_bodies=1)
    headers = await make_key("Tags", "contractor", "pings:write")
    slow = Slow()
    first = asyncio.create_task(service.post("/v1/pings", content=slow.parts(), headers=headers))
    await until_in_work(1)
    refused = await service.post("/v1/pings", content=BODY, headers=headers)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"].isdecimal()
    assert refused.json()["title"] == "Busy"
    assert await connection.fetchval("SELECT count(*) FROM ping_batch") == 0
    slow.may_end.set()
    assert (await first).json()["accepted"] == 1
    assert (await service.post("/v1/pings", content=BODY, headers=headers)).json()["duplicates"] == 1


async def test_bytes_count_too_and_a_body_that_does_not_say_how_long_it_is_counts_as_the_longest(
    application: FastAPI, service: httpx.AsyncClient, make_key: MakeKey
) -> None:
    application.state.settings = Settings(matcher=False, max_body_bytes=1_000, max_bodies_bytes=1_000 + len(BODY))
    headers = await make_key("Tags", "contractor", "pings:write")
    slow = Slow()
    first = asyncio.create_task(service.post("/v1/pings", content=slow.parts(), headers=headers))
    await until_in_work(1)
    assert (await service.post("/v1/pings", content=b" " + BODY, headers=headers)).status_code == 429
    assert (await service.post("/v1/pings", content=BODY, headers=headers)).status_code == 200
    slow.may_end.set()
    assert (await first).status_code == 200


async def test_a_body_that_does_not_arrive_gives_its_room_back(
    application: FastAPI, service: httpx.AsyncClient, make_key: MakeKey, connection: Connection
) -> None:
    application.state.settings = Settings(matcher=False, max_bodies=1, max_body_s=0.5)
    headers = await make_key("Tags", "contractor", "pings:write")
    slow = Slow()
    first = asyncio.create_task(service.post("/v1/pings", content=slow.parts(), headers=headers))
    await until_in_work(1)
    await until_in_work(0)
    slow.may_end.set()  # the client looks for an answer only when it has sent all
    refused = await first
    assert (refused.status_code, refused.json()["title"]) == (408, "Too slow")
    assert (await service.post("/v1/pings", content=BODY, headers=headers)).json()["accepted"] == 1
    assert await connection.fetchval("SELECT count(*) FROM ping") == 1


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def test_bodies_that_wait_to_be_stored_leave_connections_to_everybody_else(
    service: httpx.AsyncClient, make_key: MakeKey, connection: Connection
) -> None:
    headers = await make_key("Tags", "contractor", "pings:write", "pings:read")
    assert (await service.post("/v1/pings", content=BODY, headers=headers)).status_code == 200
    day = await connection.fetchval("SELECT date '2026-03-14' - date '1970-01-01'")
    # As a day is held while it is sealed.
    await connection.execute("SELECT pg_advisory_lock(1, $1)", day)
    posts = [
        asyncio.create_task(service.post("/v1/pings", json=[PING | {"device_id": f"T-{number}"}], headers=headers))
        for number in range(2, 22)
    ]
    async with asyncio.timeout(30):
        while await connection.fetchval(WAITING) < 3:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
        assert (await service.get("/v1/pings/rejected", headers=headers)).status_code == 200
    await connection.execute("SELECT pg_advisory_unlock(1, $1)", day)
    assert [(await post).json()["accepted"] for post in posts] == [1] * 20


TRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM ping_batch"


async def test_bodies_that_wait_are_stored_together_and_each_hears_of_its_own(
    service: httpx.AsyncClient, make_key: MakeKey, connection: Connection
) -> None:
    headers = await make_key("Tags", "contractor", "pings:write")
    known = [PING | {"device_id": f"T-{number}"} for number in range(20)]
    assert (await service.post("/v1/pings", json=known[:1], headers=headers)).json()["accepted"] == 1
    day = await connection.fetchval("SELECT date '2026-03-14' - date '1970-01-01'")
    await connection.execute("SELECT pg_advisory_lock(1, $1)", day)
    bodies = [[ping, {}] for ping in known[1:]]
    bodies[10] = [known[0]]  # stored before
    bodies[11] = [known[1]]  # comes twice
    bodies[12] = [known[13], known[13] | {"lat": 51.3}]  # contradicts itself
    posts = [asyncio.create_task(service.post("/v1/pings", json=body, headers=headers)) for body in bodies]
    async with asyncio.timeout(30):
        while await connection.fetchval(WAITING) < 3:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
        await until_in_work(len(bodies))
    await connection.execute("SELECT pg_advisory_unlock(1, $1)", day)
    said = [(await post).json() for post in posts]
    counted = [tuple(each[name] for name in ("accepted", "duplicates", "conflicts", "rejected")) for each in said]
    twice = {counted.pop(11), counted[0]}
    assert twice in ({(0, 1, 0, 0), (1, 0, 0, 1)}, {(1, 0, 0, 0), (0, 1, 0, 1)})
    assert counted.pop(11) == (1, 0, 1, 0)
    assert counted.pop(10) == (0, 1, 0, 0)
    assert counted[1:] == [(1, 0, 0, 1)] * 15
    assert len({each["batch_id"] for each in said}) == len(bodies)
    rows = await connection.fetch("SELECT batch_id, count(*) AS pings FROM ping GROUP BY batch_id")
    stored = {row["batch_id"]: row["pings"] for row in rows}
    assert stored == {
        each["batch_id"]: each["accepted"]
        for each in (*said, {"batch_id": min(stored), "accepted": 1})
        if each["accepted"]
    }
    # Three had places, one after another stands alone, the others share what is left.
    assert await connection.fetchval(TRANSACTIONS) < len(bodies) // 2
    assert await connection.fetchval("SELECT count(*) FROM audit_event WHERE action = 'pings.store'") == len(bodies) + 1
    assert await connection.fetchval("SELECT count(*) FROM ping_reject") == len(bodies) - 3
