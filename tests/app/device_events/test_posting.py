from typing import Any

import asyncpg
import httpx
import pytest

from app.db import Connection
from tests.app.conftest import MakeKey
from tests.app.device_events.conftest import Post
from tests.app.device_events.examples import an_event

Json = Any

KINDS = [
    "fitted", "removed", "strap_tamper", "case_tamper", "battery_low", "battery_flat", "charging_started",
    "charging_ended", "signal_lost", "signal_restored", "shielding_suspected",
]  # fmt: skip

EFFECTIVE = """
SELECT e.event_ref, e.revision, d.serial, e.kind FROM effective_device_event e JOIN device d USING (device_id)
ORDER BY e.event_ref
"""


async def effective(connection: Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(EFFECTIVE)]


async def test_an_event_of_an_unknown_device_makes_the_device(post: Post, connection: Connection) -> None:
    answer = await post(an_event(device_id="TAG9", detail="strap opened"))
    assert answer["events"] == [{"line": 1, "event_id": "E1", "revision": 1, "outcome": "stored"}]
    assert await effective(connection) == [("E1", 1, "TAG9", "strap_tamper")]


async def test_every_kind_of_event_is_taken(post: Post) -> None:
    assert (await post([an_event(event_id=kind, kind=kind) for kind in KINDS]))["stored"] == len(KINDS)


async def test_the_same_revision_again_is_a_duplicate(post: Post) -> None:
    await post(an_event())
    answer = await post([an_event(), an_event(), an_event(event_id="E2")])
    assert (answer["stored"], answer["duplicates"], answer["rejected"]) == (1, 2, 0)


async def test_the_same_revision_with_another_content_is_refused_with_what_to_do(
    service: httpx.AsyncClient, gps: dict[str, str], post: Post
) -> None:
    await post(an_event())
    single = await service.post("/v1/device-events", json=an_event(kind="case_tamper"), headers=gps)
    assert single.status_code == 422
    assert single.json()["errors"][0]["required_action"] == "Send the correction with a higher revision."
    many = await post([an_event(detail="other"), an_event(event_id="E2", future_field=1)])
    assert [(e["line"], e["code"]) for e in many["errors"]] == [(1, "revision_conflict")]
    assert (many["stored"], many["rejected"], many["ignored_fields"]) == (1, 1, {"future_field": 1})


async def test_the_highest_revision_counts_in_whatever_order_they_come(post: Post, connection: Connection) -> None:
    await post(an_event(revision=3, device_id="TAG3"))
    await post([an_event(revision=2, device_id="TAG2"), an_event()])
    assert await effective(connection) == [("E1", 3, "TAG3", "strap_tamper")]


async def test_a_void_takes_the_event_back_and_a_higher_revision_gives_it_again(
    post: Post, connection: Connection
) -> None:
    await post([an_event(), an_event(revision=2, void=True)])
    assert await effective(connection) == []
    await post(an_event(revision=3))
    assert await effective(connection) == [("E1", 3, "TAG1", "strap_tamper")]


async def test_what_was_received_is_never_changed(post: Post, connection: Connection) -> None:
    await post(an_event())
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await connection.execute("UPDATE device_event SET kind = 'fitted'")


async def test_two_contractors_events_of_one_name_are_two(
    post: Post, make_key: MakeKey, connection: Connection
) -> None:
    other = await make_key("other", "contractor", "devices:write")
    await post(an_event())
    assert (await post(an_event(kind="fitted", revision=2), other))["stored"] == 1
    assert [event[1] for event in await effective(connection)] == [1, 2]


async def test_only_contractors_with_the_scope_post_events(service: httpx.AsyncClient, make_key: MakeKey) -> None:
    force = await make_key("met", "force", "devices:write")
    reader = await make_key("gps", "contractor", "devices:read")
    for key in (force, reader):
        assert (await service.post("/v1/device-events", json=an_event(), headers=key)).status_code == 403


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"revision": 0}, "/revision", "out_of_range"),
        ({"device_id": ""}, "/device_id", "out_of_range"),
        ({"event_id": "a\nb"}, "/event_id", "invalid"),
        ({"kind": "exploded"}, "/kind", "unknown_value"),
        ({"at": "2026-01-01T10:00:00"}, "/at", "time_without_zone"),
        ({"at": None}, "/at", "wrong_type"),
        ({"detail": 7}, "/detail", "wrong_type"),
    ],
)
async def test_a_bad_event_is_named_and_the_others_are_stored(
    service: httpx.AsyncClient, gps: dict[str, str], post: Post, changed: Json, pointer: str, code: str
) -> None:
    single = await service.post("/v1/device-events", json=an_event(**changed), headers=gps)
    assert single.status_code == 422
    many = await post([an_event(**changed), an_event(event_id="E2")])
    assert [(e["line"], e["pointer"], e["code"]) for e in many["errors"]] == [(1, pointer, code)]
    assert (many["stored"], many["rejected"]) == (1, 1)
