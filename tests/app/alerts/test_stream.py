"""Matches and alerts as their readers get them, over HTTP from the running service."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.access.keys import create_key
from app.access.organisations import find_or_create_organisation
from app.access.viewer import Viewer
from app.alerts.dispatcher import dispatch
from app.alerts.stream import read_stream
from app.db import Pool
from tests.app.alerts.conftest import Case
from tests.app.matching.world import INSIDE, Fix, World


@pytest.fixture
async def world(pool: Pool) -> World:
    made = World(pool)
    await made.found()
    return made


async def key_of(world: World, organisation: str, kind: str = "force") -> dict[str, str]:
    async with world.pool.acquire() as connection:
        organisation_id = await find_or_create_organisation(connection, organisation, kind, None)
        key = await create_key(connection, organisation_id, {"matches:read", "alerts:read"}, "test")
    return {"Authorization": f"Bearer {key}"}


async def events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Events of a stream, as a browser would read them."""
    event: dict[str, Any] = {}
    async for line in response.aiter_lines():
        if line == "" and event:
            yield event
            event = {}
        elif not line.startswith(":") and line:
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name in {"data", "id"} else value


async def collect(
    client: httpx.AsyncClient, n: int, headers: dict[str, str], opened: asyncio.Event | None = None, **params: int
) -> list[dict[str, Any]]:
    """Read n events, or fewer if the stream ends; `opened` is set once the stream has its place."""
    async with (
        asyncio.timeout(180),  # the matcher may have to be compiled first
        client.stream("GET", "/v1/alerts/stream", headers=headers, params=params) as response,
    ):
        assert response.status_code == 200, await response.aread()
        if opened is not None:
            opened.set()
        got: list[dict[str, Any]] = []
        async for event in events(response):
            got.append(event)
            if len(got) == n:
                break
        return got


WAITING = """
SELECT EXISTS (SELECT FROM ping_batch WHERE matched_at IS NULL) OR EXISTS (SELECT FROM arrival)
    OR EXISTS (SELECT FROM due)
"""


async def until_settled(pool: Pool) -> None:
    """Wait until nothing is evaluated any more: an alert may be told while its pair is due once more."""
    async with asyncio.timeout(60):
        while await pool.fetchval(WAITING):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)


async def test_an_alert_reaches_the_stream_and_a_reconnected_client_misses_nothing(
    world: World, live_service: httpx.AsyncClient
) -> None:
    key = await key_of(world, "Kent")
    device, _ = await world.worn_device("W1")
    opened = asyncio.Event()
    listener = asyncio.create_task(collect(live_service, 1, key, opened))
    await opened.wait()  # a stream without a position begins at what comes after it was opened
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    (first,) = await listener
    assert first["event"] == "alert.raised"
    alert = first["data"]
    assert alert["state"] == "new"
    assert alert["incident"]["reference"] == "C1"
    assert alert["wearer"]["reference"] == "W1"
    assert alert["number"].startswith("A-")
    assert alert["evidence"]["n_pings"] == 2

    await world.pings(device, Fix(30, 5))
    await world.crime("C2", north_m=30.0)
    rest = await collect(live_service, 2, key | {"Last-Event-ID": str(first["id"])})
    assert {(e["event"], e["data"]["incident"]["reference"]) for e in rest} == {
        ("alert.revised", "C1"),
        ("alert.raised", "C2"),
    }
    everything = await collect(live_service, 3, key, after=0)
    assert everything == [first, *rest]
    assert [e["id"] for e in everything] == sorted(e["id"] for e in everything)


async def test_lists_and_single_records_show_the_same_and_are_audited(
    world: World, live_service: httpx.AsyncClient
) -> None:
    key = await key_of(world, "Kent")
    for name in ("W1", "W2", "W3"):
        device, _ = await world.worn_device(name)
        await world.pings(device, *INSIDE)
    await world.crime("C1")
    await collect(live_service, 3, key, after=0)
    await until_settled(world.pool)

    for kind, name in (("matches", "match_id"), ("alerts", "alert_id")):
        first = await live_service.get(f"/v1/{kind}", headers=key, params={"limit": 2})
        assert len(first.json()[kind]) == 2
        assert first.headers["link"] == f'</v1/{kind}?limit=2&after={first.json()["next"]}>; rel="next"'
        second = await live_service.get(first.links["next"]["url"], headers=key)
        assert "link" not in second.headers
        rows = first.json()[kind] + second.json()[kind]
        assert {row["wearer"]["reference"] for row in rows} == {"W1", "W2", "W3"}
        one = await live_service.get(f"/v1/{kind}/{rows[0][name]}", headers=key)
        assert one.json() == rows[0]

    looks = await world.pool.fetch(
        "SELECT action, cardinality(wearer_ids) AS wearers FROM audit_event ORDER BY audit_event_id"
    )
    assert [(look["action"], look["wearers"]) for look in looks if look["action"] != "alerts.stream"] == [
        ("matches.list", 2),
        ("matches.list", 1),
        ("matches.get", 1),
        ("alerts.list", 2),
        ("alerts.list", 1),
        ("alerts.get", 1),
    ]
    assert sum(look["wearers"] for look in looks if look["action"] == "alerts.stream") >= 1


async def test_nobody_else_sees_a_forces_matches_and_alerts_until_the_wearer_is_theirs(
    world: World, live_service: httpx.AsyncClient
) -> None:
    owner, other = await key_of(world, "Kent"), await key_of(world, "Essex")
    contractor = await key_of(world, "Tags", "contractor")
    probation = await key_of(world, "North", "probation")
    device, wearer = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    await world.crime("C1")
    (event,) = await collect(live_service, 1, owner, after=0)
    alert, match = event["data"]["alert_id"], event["data"]["match_id"]
    for stranger in (other, contractor, probation):
        assert (await live_service.get("/v1/matches", headers=stranger)).json()["matches"] == []
        assert (await live_service.get("/v1/alerts", headers=stranger)).json()["alerts"] == []
        assert (await live_service.get(f"/v1/alerts/{alert}", headers=stranger)).status_code == 404
        assert (await live_service.get(f"/v1/matches/{match}", headers=stranger)).status_code == 404
    await world.pool.execute(
        "UPDATE wearer SET probation_id = (SELECT organisation_id FROM organisation WHERE code = 'North')"
    )
    assert len((await live_service.get("/v1/alerts", headers=probation)).json()["alerts"]) == 1
    assert (await collect(live_service, 1, probation, after=0))[0]["data"] == event["data"]
    assert (await live_service.get("/v1/alerts", headers=other)).json()["alerts"] == []
    assert wearer is not None


async def test_a_stream_ends_when_its_key_is_revoked(world: World, live_service: httpx.AsyncClient) -> None:
    key = await key_of(world, "Kent")
    device, _ = await world.worn_device("W1")
    opened = asyncio.Event()
    listener = asyncio.create_task(collect(live_service, 99, key, opened, after=0))
    await opened.wait()
    await world.pool.execute("UPDATE api_key SET revoked_at = now()")
    await world.pings(device, *INSIDE)
    await world.crime("C1")
    assert await listener == []


async def test_without_a_key_or_its_scope_there_is_nothing(world: World, live_service: httpx.AsyncClient) -> None:
    async with world.pool.acquire() as connection:
        key = await create_key(connection, world.force_id, {"pings:read"}, "test")
    for path in ("/v1/matches", "/v1/alerts", "/v1/alerts/stream"):
        assert (await live_service.get(path)).status_code == 401
        assert (await live_service.get(path, headers={"Authorization": f"Bearer {key}"})).status_code == 403


async def test_what_people_do_is_on_the_stream_in_its_order(case: Case) -> None:
    await case.patch(state="in_review")
    await case.patch(assignee="PO Nowak")
    await case.revise()
    await case.decide("pass_to_police", reason="at_the_scene")
    outcome = {"outcome": "arrested", "date": "2026-03-15", "source": "custody"}
    for _ in range(2):  # recorded once
        await case.service.post(f"{case.path}/outcomes", json=outcome, headers=case.kent)
    await dispatch(case.world.pool)
    async with case.world.pool.acquire() as connection:
        viewer = Viewer(case.world.force_id, "Kent", "force", frozenset())
        events = [alert for _, alert in (await read_stream(connection, viewer, 0, 100)).events]
    assert [(alert.kind, alert.state, alert.revision) for alert in events] == [
        ("raised", "new", 1),
        ("taken_up", "in_review", 1),
        ("assigned", "in_review", 1),
        ("revised", "in_review", 2),
        ("decided", "decided", 2),
        ("outcome", "decided", 2),
    ]
    assert [alert.why for alert in events[4:]] == [
        "Decided: pass_to_police, for the reason at_the_scene.",
        "Outcome: arrested, on 2026-03-15.",
    ]
    assert "Moore" not in str(events)


async def test_a_cursor_beyond_all_numbers_is_refused_and_after_a_great_one_there_is_nothing(case: Case) -> None:
    for path, key in (("/v1/alerts", "alerts"), (f"{case.path}/revisions", "revisions")):
        refused = await case.service.get(path, params={"after": 2**63}, headers=case.kent)
        assert refused.status_code == 422
        empty = await case.service.get(path, params={"after": 2**63 - 1}, headers=case.kent)
        assert empty.json()[key] == []
