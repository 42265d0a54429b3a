from typing import Any

import httpx
import pytest

from app.db import Connection
from app.identity import wearer_id
from tests.app.conftest import MakeKey
from tests.app.device_events.conftest import Post
from tests.app.device_events.examples import an_event, noon

PATH = "/v1/device-events"


@pytest.fixture
async def posted(post: Post) -> None:
    await post(
        [
            an_event(5),
            an_event(6, revision=2),
            an_event(7, event_id="E2", kind="battery_flat", detail="0 %"),
            an_event(7, event_id="E3", device_id="TAG2"),
        ]
    )


async def read(service: httpx.AsyncClient, key: dict[str, str], **params: Any) -> list[Any]:  # noqa: ANN401 - JSON
    answer = await service.get(PATH, params=params, headers=key)
    assert answer.status_code == 200, answer.text
    events: list[Any] = answer.json()["events"]
    return events


@pytest.mark.usefixtures("posted")
async def test_every_revision_is_given_and_says_whether_it_counts(
    service: httpx.AsyncClient, gps: dict[str, str]
) -> None:
    events = await read(service, gps)
    assert [(e["event_id"], e["revision"], e["counts"]) for e in events] == [
        ("E1", 1, False),
        ("E1", 2, True),
        ("E2", 1, True),
        ("E3", 1, True),
    ]
    expected = {"device_id": "TAG1", "kind": "battery_flat", "at": "2026-01-07T12:00:00Z", "detail": "0 %"}
    assert expected.items() <= events[2].items()


@pytest.mark.usefixtures("posted")
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"device_id": "TAG2"}, ["E3"]),
        ({"device_id": "none"}, []),
        ({"from": noon(6).isoformat()}, ["E1", "E2", "E3"]),
        ({"to": noon(6).isoformat()}, ["E1", "E1"]),
        ({"from": noon(6).isoformat(), "to": noon(6).isoformat()}, ["E1"]),
    ],
)
async def test_events_are_asked_for_by_device_and_time_both_ends_inclusive(
    service: httpx.AsyncClient, gps: dict[str, str], params: dict[str, str], expected: list[str]
) -> None:
    assert [event["event_id"] for event in await read(service, gps, **params)] == expected


@pytest.mark.usefixtures("posted")
async def test_pages_lead_on_by_link_until_the_last(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    seen: list[Any] = []
    address = f"{PATH}?limit=1&device_id=TAG1"
    while address:
        answer = await service.get(address, headers=gps)
        seen += [(event["event_id"], event["revision"]) for event in answer.json()["events"]]
        address = answer.links.get("next", {}).get("url", "")
    assert seen == [("E1", 1), ("E1", 2), ("E2", 1)]


@pytest.mark.usefixtures("posted")
async def test_another_contractors_events_are_not_seen(service: httpx.AsyncClient, make_key: MakeKey) -> None:
    other = await make_key("other", "contractor", "devices:read")
    assert await read(service, other) == []


@pytest.mark.usefixtures("posted")
async def test_a_look_is_recorded_with_whoever_wore_the_device_then(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    await read(service, gps, device_id="TAG1")
    audited = await connection.fetchrow(
        "SELECT subject, wearer_ids FROM audit_event WHERE action = 'device_events.list'"
    )
    assert audited is not None
    assert tuple(audited) == ("serial=TAG1 after=0", [wearer_id("W1")])


async def test_a_time_without_zone_is_refused(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    answer = await service.get(PATH, params={"from": "2026-01-01T10:00:00"}, headers=gps)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "time_without_zone")
