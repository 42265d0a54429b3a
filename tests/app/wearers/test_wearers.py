from typing import Any

import httpx
import pytest

from app.db import Connection
from app.identity import wearer_id
from tests.app.conftest import MakeKey

Json = Any


@pytest.fixture
async def gps(make_key: MakeKey) -> dict[str, str]:
    """A contractor's key; the force met and the probation region london exist too."""
    await make_key("met", "force", "wearers:read")
    await make_key("london", "probation", "wearers:read")
    return await make_key("gps", "contractor", "wearers:write", "wearers:read", "devices:write")


async def _post(service: httpx.AsyncClient, key: dict[str, str], body: Json) -> Json:
    answer = await service.post("/v1/wearers", json=body, headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _references(service: httpx.AsyncClient, key: dict[str, str]) -> set[str]:
    listed = (await service.get("/v1/wearers", headers=key)).json()
    return {wearer["reference"] for wearer in listed["wearers"]}


async def test_a_wearer_is_created_then_unchanged_then_updated(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    wearer = {"reference": "W1", "force": "met"}
    assert (await _post(service, gps, wearer))["wearers"] == [
        {"line": 1, "wearer_id": str(wearer_id("W1")), "reference": "W1", "outcome": "created"}
    ]
    assert (await _post(service, gps, wearer))["unchanged"] == 1
    assert (await _post(service, gps, {**wearer, "probation": "london"}))["updated"] == 1
    read = (await service.get(f"/v1/wearers/{wearer_id('W1')}", headers=gps)).json()
    assert (read["force"], read["probation"], read["activations"]) == ("met", "london", [])


async def test_a_post_replaces_the_whole_record(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    await _post(service, gps, {"reference": "W1", "force": "met"})
    assert (await _post(service, gps, {"reference": "W1"}))["updated"] == 1
    assert (await service.get(f"/v1/wearers/{wearer_id('W1')}", headers=gps)).json()["force"] is None


async def test_rows_of_one_body_take_effect_in_their_order(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    body = [{"reference": "W1"}, {"reference": "W1", "force": "met"}, {"reference": "W1", "force": "met"}]
    answer = await _post(service, gps, body)
    assert [wearer["outcome"] for wearer in answer["wearers"]] == ["created", "updated", "unchanged"]


async def test_only_who_registered_a_wearer_may_change_them(
    service: httpx.AsyncClient, gps: dict[str, str], make_key: MakeKey
) -> None:
    await _post(service, gps, {"reference": "W1"})
    other = await make_key("other", "contractor", "wearers:write", "wearers:read")
    answer = await _post(service, other, [{"reference": "W1"}, {"reference": "W2"}])
    assert [(e["line"], e["pointer"], e["code"]) for e in answer["errors"]] == [(1, "/reference", "not_yours")]
    assert (answer["created"], answer["rejected"]) == (1, 1)
    assert (await service.post("/v1/wearers", json={"reference": "W1"}, headers=other)).status_code == 422


async def test_a_wearer_known_only_from_a_fitting_goes_to_whoever_posts_them_first(
    service: httpx.AsyncClient, gps: dict[str, str], make_key: MakeKey
) -> None:
    fitting = {
        "activation_id": "F1",
        "device_id": "TAG1",
        "wearer_reference": "W1",
        "fitted_at": "2026-01-01T00:00:00Z",
    }
    await service.post("/v1/activations", json=fitting, headers=gps)
    assert await _references(service, gps) == set()
    probation = await make_key("london", "probation", "wearers:write", "wearers:read")
    assert (await _post(service, probation, {"reference": "W1"}))["updated"] == 1
    assert (await _post(service, gps, [{"reference": "W1"}]))["errors"][0]["code"] == "not_yours"
    read = (await service.get(f"/v1/wearers/{wearer_id('W1')}", headers=probation)).json()
    assert [(a["device_id"], a["from"], a["to"]) for a in read["activations"]] == [
        ("TAG1", "2026-01-01T00:00:00Z", None)
    ]


async def test_a_wearer_is_seen_by_who_registered_them_and_by_their_force_and_probation_region_only(
    service: httpx.AsyncClient, gps: dict[str, str], make_key: MakeKey
) -> None:
    await _post(service, gps, [{"reference": "W1", "force": "met"}, {"reference": "W2", "probation": "london"}])
    seen = {
        organisation: await _references(service, await make_key(organisation, kind, "wearers:read"))
        for organisation, kind in (
            ("gps", "contractor"),
            ("met", "force"),
            ("london", "probation"),
            ("kent", "force"),
            ("other", "contractor"),
        )
    }
    assert seen == {"gps": {"W1", "W2"}, "met": {"W1"}, "london": {"W2"}, "kent": set(), "other": set()}
    kent = await make_key("kent", "force", "wearers:read")
    assert (await service.get(f"/v1/wearers/{wearer_id('W1')}", headers=kent)).status_code == 404


async def test_pages_lead_on_by_link_until_the_last(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    await _post(service, gps, [{"reference": f"W{number}"} for number in range(7)])
    seen: list[str] = []
    address = "/v1/wearers?limit=3"
    while address:
        answer = await service.get(address, headers=gps)
        seen += [wearer["reference"] for wearer in answer.json()["wearers"]]
        address = answer.links.get("next", {}).get("url", "")
    assert sorted(seen) == [f"W{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("wearer", "pointer", "code"),
    [
        ({}, "/reference", "missing_field"),
        ({"reference": ""}, "/reference", "out_of_range"),
        ({"reference": "W\u001f1"}, "/reference", "invalid"),
        ({"reference": "W\u00851"}, "/reference", "invalid"),
        ({"reference": "W1", "force": "london"}, "/force", "unknown_force"),
        ({"reference": "W1", "probation": "nowhere"}, "/probation", "unknown_probation"),
    ],
)
async def test_a_bad_wearer_is_named_and_not_stored(
    service: httpx.AsyncClient, gps: dict[str, str], wearer: Json, pointer: str, code: str
) -> None:
    answer = await _post(service, gps, [wearer, {"reference": "good"}])
    assert [(e["line"], e["pointer"], e["code"]) for e in answer["errors"]] == [(1, pointer, code)]
    assert await _references(service, gps) == {"good"}


async def test_every_look_names_the_wearers_that_were_shown(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    await _post(service, gps, {"reference": "W1"})
    await _references(service, gps)
    await service.get(f"/v1/wearers/{wearer_id('W1')}", headers=gps)
    events = await connection.fetch("SELECT action, wearer_ids FROM audit_event ORDER BY audit_event_id")
    assert [(event["action"], event["wearer_ids"]) for event in events] == [
        (action, [wearer_id("W1")]) for action in ("wearers.post", "wearers.list", "wearers.get")
    ]
