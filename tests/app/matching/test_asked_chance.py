"""How often a wearer is there anyway: asked for over HTTP, of matches that are present and of others."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.db import Pool
from app.matching.profiles import publish_profile
from matcher.profile import RADIUS_100M, STANDARD
from tests.app.conftest import MakeKey
from tests.app.matching.world import DAY, NOON, Fix, World

Json = Any

DAYS = 10
DAY_S = 86_400
# A fix a minute from 11:20 to 12:40: at the place from 11:57 to 12:03, or 60 m beside it, which is but possible.
MINUTES = range(-40, 41)
WALK = [Fix(60 * m, 80.0 * (abs(m) - 3) if abs(m) > 3 else 5.0) for m in MINUTES]
BESIDE = [Fix(60 * m, 80.0 * (abs(m) - 3) + 60.0 if abs(m) > 3 else 60.0) for m in MINUTES]


def on_days_before(fixes: list[Fix]) -> list[Fix]:
    return [Fix(fix.seconds - day * DAY_S, fix.north_m) for day in range(1, DAYS + 1) for fix in fixes]


@pytest.fixture
async def world(pool: Pool) -> World:
    """A burglary; one who was there and one beside it, both elsewhere on ten days, and one who is beside it daily."""
    world = World(pool)
    await world.found(STANDARD)
    for day in (NOON - timedelta(days=number) for number in range(2, DAYS + 2)):
        name = f"ping_{day:%Y%m%d}"
        await pool.execute(DAY.format(name=name, day=day.date(), next=(day + timedelta(days=1)).date()))
    elsewhere = on_days_before([Fix(60 * m, 5_000.0) for m in MINUTES])
    trails = {"there": elsewhere + WALK, "beside": elsewhere + BESIDE, "daily": on_days_before(BESIDE) + BESIDE}
    for name, fixes in trails.items():
        device, wearer = await world.device(name), await world.wearer(name)
        await world.fit(device, wearer, from_s=-(DAYS + 2) * DAY_S)
        await world.pings(device, *fixes, accuracy_m=30.0)
    await world.crime("C1", profile="standard")
    await world.settle()
    return world


@pytest.fixture
async def kent(world: World, make_key: MakeKey) -> dict[str, str]:
    assert world
    return await make_key("Kent", "force", "matches:read")


async def matches(service: httpx.AsyncClient, key: dict[str, str]) -> dict[str, Json]:
    answer = await service.get("/v1/matches", headers=key)
    assert answer.status_code == 200, answer.text
    return {each["wearer"]["reference"]: each for each in answer.json()["matches"]}


async def asked(service: httpx.AsyncClient, key: dict[str, str], match_id: str) -> Json:
    answer = await service.get(f"/v1/matches/{match_id}/chance", headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_match_that_is_not_present_is_weighed_against_the_days_before_when_asked(
    service: httpx.AsyncClient, kent: dict[str, str]
) -> None:
    found = await matches(service, kent)
    assert {name: (each["verdict"], each["evidence"]["history"]) for name, each in found.items()} == {
        "there": ("present", "weighed"),
        "beside": ("possible", "not_needed"),
        "daily": ("possible", "not_needed"),
    }
    beside = await asked(service, kent, found["beside"]["match_id"])
    daily = await asked(service, kent, found["daily"]["match_id"])
    assert (beside["history"], beside["chance"]["days"], beside["chance"]["as_much"]) == ("weighed", DAYS, 0)
    assert (daily["history"], daily["chance"]["days"], daily["chance"]["as_much"]) == ("weighed", DAYS, DAYS)
    assert beside["chance"]["ratio"] > 5
    assert daily["chance"]["ratio"] < 1.1
    assert beside["said"][0].startswith("On 0 days of 10 comparable ones")
    assert daily["said"][-1] == "The person's ordinary life may explain it."
    assert beside["incident"]["version"] == 1
    assert beside["profile"] == found["beside"]["profile"]


async def test_of_a_match_that_is_present_it_is_what_its_evidence_says(
    service: httpx.AsyncClient, kent: dict[str, str]
) -> None:
    there = (await matches(service, kent))["there"]
    assert (await asked(service, kent, there["match_id"]))["chance"] == there["evidence"]["chance"]


async def test_others_may_not_ask_and_every_question_is_recorded(
    service: httpx.AsyncClient, kent: dict[str, str], make_key: MakeKey, pool: Pool
) -> None:
    there = (await matches(service, kent))["there"]
    path = f"/v1/matches/{there['match_id']}/chance"
    assert (await service.get(path, headers=await make_key("Essex", "force", "matches:read"))).status_code == 404
    assert (await service.get(path, headers=await make_key("Essex", "force", "alerts:read"))).status_code == 403
    await asked(service, kent, there["match_id"])
    rows = await pool.fetch("SELECT subject, wearer_ids FROM audit_event WHERE action = 'matches.chance'")
    assert [(row["subject"], [str(each) for each in row["wearer_ids"]]) for row in rows] == [
        (there["match_id"], [there["wearer"]["wearer_id"]])
    ]


async def test_by_a_rule_that_weighs_no_history_there_is_nothing_to_say(
    service: httpx.AsyncClient, world: World, kent: dict[str, str], pool: Pool
) -> None:
    async with pool.acquire() as connection:
        await publish_profile(connection, RADIUS_100M)
    await world.crime("C2")
    await world.settle()
    by_radius = await pool.fetchval(
        "SELECT match_id FROM match JOIN incident USING (incident_id) WHERE reference = 'C2' AND is_live LIMIT 1"
    )
    answer = await asked(service, kent, by_radius)
    assert (answer["history"], answer["chance"], answer["said"]) == ("not_needed", None, [])


async def test_of_an_incident_that_was_withdrawn_nothing_is_weighed(
    service: httpx.AsyncClient, world: World, kent: dict[str, str]
) -> None:
    there = (await matches(service, kent))["there"]
    await world.crime("C1", profile="standard", is_withdrawn=True)
    assert (await service.get(f"/v1/matches/{there['match_id']}/chance", headers=kent)).status_code == 404


async def test_of_a_match_that_has_ended_nothing_is_weighed(
    service: httpx.AsyncClient, world: World, kent: dict[str, str]
) -> None:
    there = (await matches(service, kent))["there"]
    await world.crime("C1", profile="standard", north_m=50_000.0)
    await world.settle()
    assert await matches(service, kent) == {}
    assert (await service.get(f"/v1/matches/{there['match_id']}/chance", headers=kent)).status_code == 404
