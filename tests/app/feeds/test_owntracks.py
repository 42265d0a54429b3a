"""Locations as OwnTracks sends them in HTTP mode; names and units are those of its booklet."""

from typing import Any

import httpx
import pytest

from app.db import Connection
from app.feeds.owntracks import EXAMPLE
from tests.app.conftest import MakeKey
from tests.app.pings.conftest import stored_pings

Json = Any
PATH = "/v1/feeds/owntracks"
AT_US = 1_709_285_400_000_000
# 5 km/h are 1.389 m/s.
STORED = ("owntracks/tags/00417", AT_US, 0, -25_879_000, 514_545_000, 900, 139, 27_000)


@pytest.fixture
async def key(make_key: MakeKey) -> dict[str, str]:
    return await make_key("gps", "contractor", "pings:write", "pings:read", "metrics:read")


def sent(**changed: Any) -> Json:  # noqa: ANN401 - JSON
    """A location; a field given as ... is left out."""
    return {name: value for name, value in {**EXAMPLE, **changed}.items() if value is not ...}


async def ignored(service: httpx.AsyncClient, key: dict[str, str]) -> float:
    lines = (await service.get("/metrics", headers=key)).text.splitlines()
    counts = [line for line in lines if line.startswith('trailmatch_pings_total{outcome="ignored"}')]
    return float(counts[0].rpartition(" ")[2]) if counts else 0.0


async def test_a_location_is_a_ping_in_our_units_and_is_answered_as_clients_expect(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    answer = await service.post(PATH, json=EXAMPLE, headers=key)
    assert (answer.status_code, answer.json()) == (200, [])
    assert await stored_pings(connection) == [STORED]
    again = await service.post(PATH, json=EXAMPLE, headers=key)
    assert (again.status_code, again.json()) == (200, [])
    assert await stored_pings(connection) == [STORED]


async def test_without_a_topic_the_tracker_id_names_the_device(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    await service.post(PATH, json=sent(topic=...), headers=key)
    assert await stored_pings(connection) == [("17", *STORED[1:])]


async def test_what_a_client_does_not_know_is_unknown(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    await service.post(PATH, json=sent(acc=..., vel=-1, cog=-1), headers=key)
    assert await stored_pings(connection) == [(*STORED[:5], -1, -1, -1)]


@pytest.mark.parametrize("kind", ["transition", "lwt", "waypoint", "status", "something new"])
async def test_messages_of_another_type_are_acknowledged_and_counted(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection, kind: str
) -> None:
    before = await ignored(service, key)
    answer = await service.post(PATH, json=sent(_type=kind), headers=key)
    assert (answer.status_code, answer.json()) == (200, [])
    assert await stored_pings(connection) == []
    assert await ignored(service, key) == before + 1


async def test_an_empty_message_is_acknowledged(service: httpx.AsyncClient, key: dict[str, str]) -> None:
    answer = await service.post(PATH, content=b"", headers=key)
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"_type": "encrypted"}, "/_type", "encrypted"),
        ({"_type": ...}, "/_type", "missing_field"),
        ({"lat": 91}, "/lat", "out_of_range"),
        ({"lon": ...}, "/lon", "missing_field"),
        ({"tst": ...}, "/tst", "missing_field"),
        ({"tst": "now"}, "/tst", "wrong_type"),
        ({"tst": 32_503_680_000}, "/tst", "in_future"),
        ({"acc": -1}, "/acc", "negative"),
        ({"topic": 7}, "/topic", "wrong_type"),
        ({"topic": ..., "tid": ...}, "/tid", "missing_field"),
    ],
)
async def test_a_bad_message_is_refused_in_its_own_names(
    service: httpx.AsyncClient, key: dict[str, str], changed: Json, pointer: str, code: str
) -> None:
    answer = await service.post(PATH, json=sent(**changed), headers=key)
    assert answer.status_code == 422
    assert (pointer, code) in [(e["pointer"], e["code"]) for e in answer.json()["errors"]]


async def test_a_body_that_is_no_object_or_no_json_is_refused(service: httpx.AsyncClient, key: dict[str, str]) -> None:
    assert (await service.post(PATH, json=[EXAMPLE], headers=key)).status_code == 422
    broken = await service.post(PATH, content=b"{", headers={**key, "Content-Type": "application/json"})
    assert broken.status_code == 400


async def test_a_phone_sends_the_key_as_password_but_only_with_json(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    phone = ("any name", key["Authorization"].removeprefix("Bearer "))
    form = {"Content-Type": "text/plain"}
    assert (await service.post(PATH, content=b"{}", headers=form, auth=phone)).status_code == 401
    assert (await service.post(PATH, content=b"{}", auth=phone)).status_code == 401
    assert (await service.post("/v1/pings", json=[], auth=phone)).status_code == 401
    assert (await service.post(PATH, json=EXAMPLE, auth=phone)).status_code == 200
    assert await stored_pings(connection) == [STORED]


async def test_only_contractors_with_the_scope_feed(service: httpx.AsyncClient, make_key: MakeKey) -> None:
    force = await make_key("met", "force", "pings:write")
    reader = await make_key("gps", "contractor", "pings:read")
    for key in (force, reader):
        assert (await service.post(PATH, json=EXAMPLE, headers=key)).status_code == 403
