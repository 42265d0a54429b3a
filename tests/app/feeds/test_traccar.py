"""Positions as a Traccar server forwards them; field names and units are those of its models."""

from typing import Any

import httpx
import pytest

from app.db import Connection
from app.feeds.traccar import EXAMPLE
from tests.app.conftest import MakeKey
from tests.app.pings.conftest import stored_pings

Json = Any
PATH = "/v1/feeds/traccar"
AT_US = 1_709_285_400_000_000
# 2.5 knots are 1.286 m/s.
STORED = ("861230041234567", AT_US, 0, -25_879_000, 514_545_000, 850, 129, 27_000)


@pytest.fixture
async def key(make_key: MakeKey) -> dict[str, str]:
    return await make_key("gps", "contractor", "pings:write", "pings:read")


def forwarded(**changed: Any) -> Json:  # noqa: ANN401 - JSON
    """A position with its device; fields of the position are changed."""
    return {**EXAMPLE, "position": {**EXAMPLE["position"], **changed}}


async def test_a_forwarded_position_is_a_ping_in_our_units(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    answer = await service.post(PATH, json=EXAMPLE, headers=key)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"accepted": 1, "duplicates": 0, "conflicts": 0, "ignored": 0}
    assert await stored_pings(connection) == [STORED]


async def test_it_is_the_same_ping_as_one_posted_to_pings(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    ping = {
        "device_id": "861230041234567",
        "fixed_at_us": AT_US,
        "lon": -2.5879,
        "lat": 51.4545,
        "accuracy_m": 8.5,
        "speed_mps": 1.29,
        "direction_deg": 270,
    }
    await service.post("/v1/pings", json=[ping], headers=key)
    assert (await service.post(PATH, json=EXAMPLE, headers=key)).json()["duplicates"] == 1
    assert (await service.post(PATH, json=forwarded(latitude=51.4546), headers=key)).json()["conflicts"] == 1
    assert await connection.fetchval("SELECT count(*) FROM ping_batch WHERE payload IS NOT NULL") >= 1


async def test_an_offset_without_colon_is_read_as_older_servers_write_it(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    await service.post(PATH, json=forwarded(fixTime="2024-03-01T10:30:00.000+0100"), headers=key)
    assert await stored_pings(connection) == [STORED]


@pytest.mark.parametrize("changed", [{"outdated": True}, {"valid": False}])
async def test_what_is_no_new_fix_is_acknowledged_and_not_stored(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection, changed: Json
) -> None:
    answer = await service.post(PATH, json=forwarded(**changed), headers=key)
    assert (answer.status_code, answer.json()["ignored"]) == (200, 1)
    assert await stored_pings(connection) == []


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"latitude": 91}, "/position/latitude", "out_of_range"),
        ({"longitude": None}, "/position/longitude", "missing_field"),
        ({"speed": -1}, "/position/speed", "negative"),
        ({"speed": "fast"}, "/position/speed", "wrong_type"),
        ({"fixTime": "2024-03-01T09:30:00"}, "/position/fixTime", "time_without_zone"),
        ({"fixTime": None}, "/position/fixTime", "missing_field"),
        ({"latitude": 0, "longitude": 0}, "", "null_island"),
    ],
)
async def test_a_bad_position_is_refused_in_traccars_names_and_kept(
    service: httpx.AsyncClient, key: dict[str, str], changed: Json, pointer: str, code: str
) -> None:
    answer = await service.post(PATH, json=forwarded(**changed), headers=key)
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]
    kept = (await service.get("/v1/pings/rejected", headers=key)).json()["rejected"]
    assert [reject["code"] for reject in kept] == [code]


@pytest.mark.parametrize("body", [{}, {"position": 7}, {"position": EXAMPLE["position"]}, {"device": None}])
async def test_a_message_without_its_parts_is_refused(
    service: httpx.AsyncClient, key: dict[str, str], body: Json
) -> None:
    answer = await service.post(PATH, json=body, headers=key)
    assert answer.status_code == 422
    assert ("/device/uniqueId", "missing_field") in [(e["pointer"], e["code"]) for e in answer.json()["errors"]]


async def test_a_body_that_is_no_object_or_no_json_is_refused(service: httpx.AsyncClient, key: dict[str, str]) -> None:
    assert (await service.post(PATH, json=[EXAMPLE], headers=key)).status_code == 422
    broken = await service.post(PATH, content=b"{", headers={**key, "Content-Type": "application/json"})
    assert broken.status_code == 400


async def test_only_contractors_with_the_scope_feed(service: httpx.AsyncClient, make_key: MakeKey) -> None:
    force = await make_key("met", "force", "pings:write")
    reader = await make_key("gps", "contractor", "pings:read")
    for key in (force, reader):
        assert (await service.post(PATH, json=EXAMPLE, headers=key)).status_code == 403
