from typing import Any

import httpx
import pytest

from app.db import Connection
from app.identity import incident_id
from tests.app.conftest import MakeKey
from tests.app.incidents.examples import an_incident

BOTH = ("incidents:write", "incidents:read")
Json = Any


@pytest.fixture
async def met(service: httpx.AsyncClient, make_key: MakeKey) -> dict[str, str]:
    """The key of a force with three incidents, of which the first was amended last."""
    key = await make_key("met", "force", *BOTH)
    posts = [an_incident(reference=reference, text="t") for reference in ("a", "b", "c")]
    await service.post("/v1/incidents", json=[*posts, an_incident(reference="a", text="t", offence="RB")], headers=key)
    return key


async def _get(service: httpx.AsyncClient, key: dict[str, str], **params: Any) -> Json:  # noqa: ANN401 - JSON
    answer = await service.get("/v1/incidents", params=params, headers=key)
    assert answer.status_code == 200
    return answer.json()


async def test_a_list_gives_the_latest_version_in_the_order_of_first_report(
    service: httpx.AsyncClient, met: dict[str, str]
) -> None:
    listed = await _get(service, met)
    assert [(i["reference"], i["latest"]["version"], i["latest"]["offence"]) for i in listed["incidents"]] == [
        ("a", 2, "RB"),
        ("b", 1, "BIAD"),
        ("c", 1, "BIAD"),
    ]
    assert listed["next"] is None


async def test_pages_lead_on_by_link_until_the_last(service: httpx.AsyncClient, met: dict[str, str]) -> None:
    seen: list[str] = []
    address = "/v1/incidents?limit=2"
    while address:
        answer = await service.get(address, headers=met)
        seen += [incident["reference"] for incident in answer.json()["incidents"]]
        address = answer.links.get("next", {}).get("url", "")
    assert seen == ["a", "b", "c"]


async def test_an_incident_is_found_by_force_and_reference(service: httpx.AsyncClient, met: dict[str, str]) -> None:
    assert [i["reference"] for i in (await _get(service, met, force="met", reference="b"))["incidents"]] == ["b"]
    assert (await _get(service, met, force="kent", reference="b"))["incidents"] == []


async def test_another_forces_incidents_are_as_if_they_were_not_there(
    service: httpx.AsyncClient, met: dict[str, str], make_key: MakeKey
) -> None:
    assert met
    kent = await make_key("kent", "force", *BOTH)
    assert (await _get(service, kent, force="met"))["incidents"] == []
    theirs = await service.get(f"/v1/incidents/{incident_id('met', 'a')}", headers=kent)
    nobodys = await service.get(f"/v1/incidents/{incident_id('met', 'z')}", headers=kent)
    assert (theirs.status_code, theirs.json()) == (404, nobodys.json())


async def test_an_administrator_sees_where_and_when_and_never_the_text(
    service: httpx.AsyncClient, met: dict[str, str], make_key: MakeKey
) -> None:
    assert met
    admin = await make_key("ops", "operator", "incidents:read", "admin")
    assert [i["latest"]["text"] for i in (await _get(service, admin))["incidents"]] == [None] * 3
    history = (await service.get(f"/v1/incidents/{incident_id('met', 'a')}", headers=admin)).json()
    assert [version["text"] for version in history["versions"]] == [None, None]
    plain = await make_key("ops", "operator", "incidents:read")
    assert (await _get(service, plain))["incidents"] == []


async def test_every_look_is_audited(service: httpx.AsyncClient, met: dict[str, str], connection: Connection) -> None:
    await _get(service, met, reference="b")
    await service.get(f"/v1/incidents/{incident_id('met', 'a')}", headers=met)
    events = await connection.fetch("SELECT action, subject, request_id FROM audit_event ORDER BY audit_event_id")
    assert [event["action"] for event in events] == ["incidents.post", "incidents.list", "incidents.get"]
    assert events[1]["subject"] == "force=None reference=b after=0"
    assert len({event["request_id"] for event in events}) == 3
