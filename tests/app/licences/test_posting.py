from typing import Any

import httpx
import pytest

from app.db import Connection
from app.identity import wearer_id
from tests.app.conftest import MakeKey
from tests.app.licences.conftest import Post
from tests.app.licences.examples import a_licence, noon

Json = Any


async def on_licence(
    service: httpx.AsyncClient, key: dict[str, str], wearer: str = "W1"
) -> list[tuple[str, str | None]]:
    """When a wearer is on licence, as their record and the list of their licences say alike."""
    record = (await service.get(f"/v1/wearers/{wearer_id(wearer)}", headers=key)).json()
    listed = await service.get("/v1/licences", params={"wearer_reference": wearer}, headers=key)
    assert listed.json()["on_licence"] == record["on_licence"]
    return [(each["from"], each["to"]) for each in record["on_licence"]]


async def test_a_licence_is_stored_with_who_stated_it_and_a_repeated_one_is_a_duplicate(
    service: httpx.AsyncClient, north: dict[str, str], post: Post
) -> None:
    assert (await post(a_licence()))["licences"] == [
        {"line": 1, "licence_id": "L1", "revision": 1, "outcome": "stored"}
    ]
    assert (await post([a_licence(), a_licence(licence_id="L2", wearer_reference="W2")]))["duplicates"] == 1
    read = (await service.get("/v1/licences", params={"wearer_reference": "W1"}, headers=north)).json()
    [received] = read["received"]
    assert received.pop("received_at") > "2026"
    assert received == {
        "licence_id": "L1",
        "revision": 1,
        "organisation": "north",
        "from": "2026-01-03T12:00:00Z",
        "to": "2026-01-20T12:00:00Z",
        "void": False,
        "counts": True,
    }


async def test_of_each_licence_the_highest_revision_counts_in_whatever_order_they_come(
    service: httpx.AsyncClient, north: dict[str, str], post: Post
) -> None:
    await post(a_licence(revision=3, to=noon(25).isoformat()))
    await post([a_licence(revision=2, wearer_reference="W2"), a_licence()])
    assert await on_licence(service, north) == [("2026-01-03T12:00:00Z", "2026-01-25T12:00:00Z")]
    assert await on_licence(service, north, "W2") == []
    read = (await service.get("/v1/licences", params={"wearer_reference": "W1"}, headers=north)).json()
    assert [(each["revision"], each["counts"]) for each in read["received"]] == [(1, False), (3, True)]


async def test_a_void_takes_a_licence_back_and_a_higher_revision_gives_it_again(
    service: httpx.AsyncClient, north: dict[str, str], post: Post
) -> None:
    await post([a_licence(), a_licence(revision=2, void=True)])
    assert await on_licence(service, north) == []
    await post(a_licence(revision=3, to=None))
    assert await on_licence(service, north) == [("2026-01-03T12:00:00Z", None)]


async def test_licences_that_overlap_or_touch_are_taken_together(
    service: httpx.AsyncClient, north: dict[str, str], post: Post
) -> None:
    await post(
        [
            a_licence(),
            a_licence(licence_id="L2", **{"from": noon(20).isoformat(), "to": noon(22).isoformat()}),
            a_licence(licence_id="L3", **{"from": noon(10).isoformat(), "to": noon(21).isoformat()}),
            a_licence(licence_id="L4", **{"from": noon(25).isoformat(), "to": None}),
        ]
    )
    assert await on_licence(service, north) == [
        ("2026-01-03T12:00:00Z", "2026-01-22T12:00:00Z"),
        ("2026-01-25T12:00:00Z", None),
    ]


async def test_the_same_revision_with_another_content_is_refused_with_what_to_do(
    service: httpx.AsyncClient, north: dict[str, str], post: Post
) -> None:
    await post(a_licence())
    single = await service.post("/v1/licences", json=a_licence(to=None), headers=north)
    assert single.status_code == 422
    assert single.json()["errors"][0]["required_action"] == "Send the correction with a higher revision."
    assert await on_licence(service, north) == [("2026-01-03T12:00:00Z", "2026-01-20T12:00:00Z")]


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"revision": 0}, "/revision", "out_of_range"),
        ({"licence_id": "a\nb"}, "/licence_id", "invalid"),
        ({"from": "2026-01-01T10:00:00"}, "/from", "time_without_zone"),
        ({"from": "2026-01-01"}, "/from", "invalid"),
        ({"from": None}, "/from", "wrong_type"),
        ({"to": noon(3).isoformat()}, "", "ends_before_it_starts"),
        ({"to": noon(2).isoformat()}, "", "ends_before_it_starts"),
        ({"wearer_reference": "W9"}, "/wearer_reference", "unknown_wearer"),
    ],
)
async def test_a_bad_licence_is_named_and_the_others_are_stored(
    service: httpx.AsyncClient, north: dict[str, str], post: Post, changed: Json, pointer: str, code: str
) -> None:
    single = await service.post("/v1/licences", json=a_licence(**changed), headers=north)
    assert single.status_code == 422
    many = await post([a_licence(**changed), a_licence(licence_id="L2", future_field=1)])
    assert [(e["line"], e["pointer"], e["code"]) for e in many["errors"]] == [(1, pointer, code)]
    assert (many["stored"], many["rejected"], many["ignored_fields"]) == (1, 1, {"future_field": 1})


async def test_licences_are_stated_and_seen_by_those_who_are_responsible_for_the_wearer_only(
    service: httpx.AsyncClient, north: dict[str, str], post: Post, make_key: MakeKey
) -> None:
    met = await make_key("met", "force", "wearers:write", "wearers:read")
    kent = await make_key("kent", "force", "wearers:write", "wearers:read")
    await service.post("/v1/wearers", json={"reference": "W1", "force": "met"}, headers=north)
    # Each organisation's licences have names of their own.
    await post([a_licence()])
    assert (await post([a_licence(revision=2, to=noon(25).isoformat())], met))["stored"] == 1
    assert await on_licence(service, met) == [("2026-01-03T12:00:00Z", "2026-01-25T12:00:00Z")]
    refused = (await post([a_licence(licence_id="L7"), a_licence(wearer_reference="none")], kent))["errors"]
    # Whether there is such a wearer is not said.
    assert [(error["code"], error["message"]) for error in refused] == [(refused[0]["code"], refused[0]["message"])] * 2
    for reference in ("W1", "none"):
        hidden = await service.get("/v1/licences", params={"wearer_reference": reference}, headers=kent)
        assert hidden.status_code == 404
    reader = await make_key("north", "probation", "wearers:read")
    assert (await service.post("/v1/licences", json=a_licence(), headers=reader)).status_code == 403
    writer = await make_key("north", "probation", "wearers:write")
    assert (await service.get("/v1/licences", params={"wearer_reference": "W1"}, headers=writer)).status_code == 403


async def test_a_post_and_a_look_are_recorded_with_the_wearers(
    service: httpx.AsyncClient, north: dict[str, str], post: Post, connection: Connection
) -> None:
    await post([a_licence(), a_licence(revision=2, wearer_reference="W2")])
    await service.get("/v1/licences", params={"wearer_reference": "W1"}, headers=north)
    events = await connection.fetch(
        "SELECT action, wearer_ids FROM audit_event WHERE action LIKE 'licences.%' ORDER BY audit_event_id"
    )
    assert [(event["action"], set(event["wearer_ids"])) for event in events] == [
        ("licences.post", {wearer_id("W1"), wearer_id("W2")}),
        ("licences.list", {wearer_id("W1")}),
    ]
