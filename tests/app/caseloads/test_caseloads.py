import asyncio
from typing import Any

import httpx
import pytest

from app.access.keys import find_viewer
from app.caseloads.schemas import PostedCaseload
from app.caseloads.store import store_caseloads
from app.db import Connection, Pool
from app.identity import wearer_id
from app.rows import Row
from tests.app.conftest import MakeKey

Json = Any
MANAGER = "r.okafor@north.example"


@pytest.fixture
async def probation(service: httpx.AsyncClient, make_key: MakeKey) -> dict[str, str]:
    """A probation region with two managers and the wearer W1; W2 is nobody's."""
    key = await make_key("north", "probation", "admin", "wearers:write", "wearers:read")
    people = [{"email": email, "name": email, "role": "offender_manager"} for email in (MANAGER, "j@north.example")]
    assert (await service.post("/v1/accounts", json=people, headers=key)).json()["created"] == 2
    wearers = [{"reference": "W1", "probation": "north"}, {"reference": "W2"}]
    assert (await service.post("/v1/wearers", json=wearers, headers=key)).json()["created"] == 2
    return key


def an_entry(**changed: Any) -> Json:  # noqa: ANN401 - JSON
    return {"email": MANAGER, "wearer_reference": "W1", "from": "2026-01-01T09:00:00Z", **changed}


async def _post(service: httpx.AsyncClient, key: dict[str, str], *body: Json) -> Json:
    answer = await service.post("/v1/caseloads", json=body, headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _read(service: httpx.AsyncClient, key: dict[str, str], **params: str) -> list[tuple[str | None, ...]]:
    answer = await service.get("/v1/caseloads", params=params, headers=key)
    assert answer.status_code == 200, answer.text
    return [(c["email"], c["wearer_reference"], c["from"], c["to"]) for c in answer.json()["caseloads"]]


async def test_an_entry_is_made_once_and_ended_by_posting_it_again(
    service: httpx.AsyncClient, probation: dict[str, str]
) -> None:
    ended = an_entry(to="2026-02-01T09:00:00Z", email=MANAGER.upper())
    answer = await _post(service, probation, an_entry(), an_entry(), ended)
    assert [c["outcome"] for c in answer["caseloads"]] == ["created", "unchanged", "updated"]
    assert await _read(service, probation) == [(MANAGER, "W1", "2026-01-01T09:00:00Z", "2026-02-01T09:00:00Z")]
    assert (await _post(service, probation, an_entry()))["updated"] == 1
    assert await _read(service, probation) == [(MANAGER, "W1", "2026-01-01T09:00:00Z", None)]


async def test_a_wearer_has_several_managers_and_a_manager_comes_back(
    service: httpx.AsyncClient, probation: dict[str, str]
) -> None:
    later = {**an_entry(), "from": "2026-03-01T09:00:00Z"}
    await _post(service, probation, an_entry(), an_entry(email="j@north.example"), later)
    assert len(await _read(service, probation)) == 3
    assert len(await _read(service, probation, email=MANAGER.upper())) == 2
    assert len(await _read(service, probation, wearer_reference="W2")) == 0


async def test_only_own_people_and_own_wearers_are_taken(
    service: httpx.AsyncClient, probation: dict[str, str], make_key: MakeKey
) -> None:
    other = await make_key("met", "force", "wearers:write", "wearers:read")
    answer = await _post(service, other, an_entry())
    assert [(e["pointer"], e["code"]) for e in answer["errors"]] == [
        ("/email", "unknown_account"),
        ("/wearer_reference", "unknown_wearer"),
    ]
    answer = await _post(
        service, probation, an_entry(wearer_reference="W2"), an_entry(), an_entry(wearer_reference="W3")
    )
    assert [(e["line"], e["code"]) for e in answer["errors"]] == [(1, "unknown_wearer"), (3, "unknown_wearer")]
    assert answer["created"] == 1
    assert await _read(service, other) == []


async def test_a_single_bad_entry_is_refused_with_what_to_do(
    service: httpx.AsyncClient, probation: dict[str, str]
) -> None:
    answer = await service.post("/v1/caseloads", json=an_entry(email="nobody@north.example"), headers=probation)
    assert answer.status_code == 422
    assert "POST /v1/accounts" in answer.json()["errors"][0]["required_action"]


async def test_an_entry_ends_after_it_begins(service: httpx.AsyncClient, probation: dict[str, str]) -> None:
    answer = await _post(service, probation, an_entry(to="2026-01-01T09:00:00Z"))
    assert [e["code"] for e in answer["errors"]] == ["ends_before_it_starts"]


async def test_only_forces_and_probation_regions_have_caseloads(service: httpx.AsyncClient, make_key: MakeKey) -> None:
    for kind in ("contractor", "operator"):
        key = await make_key(kind, kind, "wearers:write")
        assert (await service.post("/v1/caseloads", json=an_entry(), headers=key)).status_code == 403


WAITING_FOR_A_LOCK = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""


async def test_an_entry_posted_while_the_same_is_being_stored_is_made_once(
    service: httpx.AsyncClient, probation: dict[str, str], pool: Pool, connection: Connection
) -> None:
    entry = PostedCaseload.model_validate(an_entry())
    async with pool.acquire() as other:
        viewer = await find_viewer(other, probation["Authorization"].removeprefix("Bearer "))
        async with other.transaction():
            await store_caseloads(other, viewer, [Row(1, entry)])
            posting = asyncio.create_task(_post(service, probation, an_entry()))
            # Another connection's wait is seen by asking only.
            while not (posting.done() or await connection.fetchval(WAITING_FOR_A_LOCK)):  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.01)
        assert (await posting)["unchanged"] == 1
    assert len(await _read(service, probation)) == 1


async def test_what_is_posted_and_read_is_recorded_with_the_wearer(
    service: httpx.AsyncClient, probation: dict[str, str], connection: Connection
) -> None:
    await _post(service, probation, an_entry())
    await _read(service, probation)
    rows = await connection.fetch(
        "SELECT action, wearer_ids FROM audit_event WHERE action LIKE 'caseloads.%' ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [(f"caseloads.{verb}", [wearer_id("W1")]) for verb in ("list", "post")]


async def test_pages_lead_on_by_link_until_the_last(service: httpx.AsyncClient, probation: dict[str, str]) -> None:
    await _post(service, probation, an_entry(), an_entry(email="j@north.example"))
    seen: list[str] = []
    address = "/v1/caseloads?limit=1"
    while address:
        answer = await service.get(address, headers=probation)
        seen += [entry["email"] for entry in answer.json()["caseloads"]]
        address = answer.links.get("next", {}).get("url", "")
    assert seen == [MANAGER, "j@north.example"]
