"""The verdict on every wearer who could have been at an incident."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from app.db import Pool
from app.trails.sealing import seal_some
from matcher.profile import STANDARD
from tests.app.conftest import MakeKey
from tests.app.matching.world import NOON, Fix, World

Json = Any

# A fix a minute from 11:20 to 12:40: at the place from 11:57 to 12:03, or so far away all the time.
MINUTES = range(-40, 41)
WALK = [Fix(60 * m, 80.0 * (abs(m) - 3) if abs(m) > 3 else 5.0) for m in MINUTES]


def away(north_m: float) -> list[Fix]:
    return [Fix(60 * m, north_m) for m in MINUTES]


@pytest.fixture
async def incident(pool: Pool) -> UUID:
    """A burglary; one who was there, one 20 km off, one 80 km off, one of whom nothing is known."""
    world = World(pool)
    await world.found(STANDARD)
    trails = {"there": WALK, "elsewhere": away(20_000.0), "far": away(80_000.0), "silent": [Fix(-30_000, 0.0)]}
    for name, fixes in trails.items():
        device, _ = await world.worn_device(name)
        await world.pings(device, *fixes, accuracy_m=8.0)
    incident_id = await world.crime("C1", profile="standard")
    await world.settle()
    return incident_id


@pytest.fixture
async def kent(incident: UUID, make_key: MakeKey) -> dict[str, str]:
    assert incident
    return await make_key("Kent", "force", "matches:read")


async def verdicts(
    service: httpx.AsyncClient, key: dict[str, str], incident_id: UUID, **query: Json
) -> dict[str, Json]:
    answer = await service.get(f"/v1/incidents/{incident_id}/wearers", params=query, headers=key)
    assert answer.status_code == 200, answer.text
    return {each["wearer"]["reference"]: each for each in answer.json()["wearers"]}


async def test_everybody_who_could_matter_has_a_verdict_and_its_margin(
    service: httpx.AsyncClient, kent: dict[str, str], incident: UUID
) -> None:
    found = await verdicts(service, kent, incident)
    assert {name: each["verdict"] for name, each in found.items()} == {
        "there": "present",
        "elsewhere": "excluded",
        "silent": "cannot_say",
    }
    assert found["elsewhere"]["margin"]["needed_mps"] > 60
    assert found["elsewhere"]["margin"]["longest_stay_s"] == 0
    assert found["elsewhere"]["coverage"] == {"share": 1.0, "fixes": 31, "longest_gap_s": 60.0}
    assert found["silent"]["coverage"]["share"] == 0
    assert [name for name, each in found.items() if each["match_id"]] == ["there"]


async def test_packed_hours_give_the_same(
    service: httpx.AsyncClient, kent: dict[str, str], incident: UUID, pool: Pool
) -> None:
    before = await verdicts(service, kent, incident)
    marks = "INSERT INTO dirty_hour SELECT DISTINCT device_id, date_bin('1 hour', fixed_at, 'epoch') FROM ping"
    await pool.execute(marks)
    await seal_some(pool, int(NOON.timestamp()) // 86_400, NOON.replace(hour=23))
    assert await pool.fetchval("SELECT count(*) FROM trail_chunk") > 0
    assert await verdicts(service, kent, incident) == before


async def test_a_page_looks_at_so_many_wearers_and_gives_those_with_the_verdict(
    service: httpx.AsyncClient, kent: dict[str, str], incident: UUID
) -> None:
    path: str | None = f"/v1/incidents/{incident}/wearers?limit=1&verdict=excluded"
    names, pages = list[str](), 0
    while path:
        answer = await service.get(path, headers=kent)
        names += [each["wearer"]["reference"] for each in answer.json()["wearers"]]
        path = answer.links.get("next", {}).get("url")
        pages += 1
    assert (names, pages) == (["elsewhere"], 4)


async def test_others_see_only_whom_they_manage_and_every_look_is_recorded(
    service: httpx.AsyncClient, make_key: MakeKey, incident: UUID, pool: Pool
) -> None:
    north = await make_key("North", "probation", "matches:read")
    nothing = await service.get(f"/v1/incidents/{incident}/wearers", headers=north)
    assert nothing.status_code == 404
    await pool.execute(
        "UPDATE wearer SET probation_id = (SELECT organisation_id FROM organisation WHERE code = 'North') "
        "WHERE reference = 'elsewhere'"
    )
    assert list(await verdicts(service, north, incident)) == ["elsewhere"]
    row = await pool.fetchrow("SELECT action, wearer_ids FROM audit_event ORDER BY audit_event_id DESC LIMIT 1")
    assert row is not None
    assert (row["action"], len(row["wearer_ids"])) == ("incidents.wearers", 1)


async def test_nobody_could_have_been_at_an_incident_that_was_withdrawn(
    service: httpx.AsyncClient, kent: dict[str, str], incident: UUID, pool: Pool
) -> None:
    await pool.execute("UPDATE incident SET latest_version = 1")
    world = World(pool)
    world.force_id = await pool.fetchval("SELECT force_id FROM incident")
    await world.crime("C1", profile="standard", is_withdrawn=True)
    assert await verdicts(service, kent, incident) == {}
