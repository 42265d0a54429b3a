"""Pings that come faster than they are matched: stored all the same, seen to wait, and in nobody's way."""

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import httpx

from app.db import Pool
from tests.app.alerts.test_stream import collect
from tests.app.conftest import MakeKey
from tests.app.matching.world import INSIDE, LAT, LON, METRE_NORTH_DEG, NOON, World

BATCHES = 20
# Whoever takes batches up to join them waits for this lock.
HOLD_UP_BATCHES = """
CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(77);
    RETURN NEW;
END $$;
CREATE TRIGGER wait_for_test BEFORE UPDATE OF claim_token ON ping_batch FOR EACH ROW EXECUTE FUNCTION wait_for_test()
"""


async def readiness(service: httpx.AsyncClient, key: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
    answer = await service.get("/health/readiness", headers=key)
    return answer.status_code, answer.json()["matcher"]


async def test_pings_that_wait_are_stored_and_counted_and_a_crime_has_its_turn_before_them(
    pool: Pool, live_service: httpx.AsyncClient, make_key: MakeKey
) -> None:
    world = World(pool)
    await world.found()
    tags = await make_key("Tags", "contractor", "pings:write")
    kent = await make_key("Kent", "force", "alerts:read", "incidents:write", "metrics:read")
    await world.worn_device("W1")
    # Its kernels may have to be compiled first; it tells nobody when it has done that.
    while (await live_service.get("/health/readiness", headers=kent)).status_code != HTTPStatus.OK:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    await pool.execute(HOLD_UP_BATCHES)
    crime = {"force": "Kent", "reference": "C1", "offence": "BIAD", "lon": LON, "lat": LAT, "profile": "radius-100m"}
    async with pool.acquire() as holder:
        await holder.execute("SELECT pg_advisory_lock(77)")
        for number in range(BATCHES):
            fixes = [
                {
                    "device_id": "W1",
                    "fixed_at": (NOON + timedelta(seconds=fix.seconds, milliseconds=number)).isoformat(),
                    "lon": LON,
                    "lat": LAT + fix.north_m * METRE_NORTH_DEG,
                }
                for fix in INSIDE
            ]
            stored = await live_service.post("/v1/pings", json=fixes, headers=tags)
            assert (stored.status_code, stored.json()["accepted"]) == (200, len(INSIDE))
        status, matcher = await readiness(live_service, kent)
        assert (status, matcher["batches"], matcher["oldest_s"] > 0) == (200, BATCHES, True)
        metrics = (await live_service.get("/metrics", headers=kent)).text
        assert f'trailmatch_inbox_depth{{kind="batches"}} {BATCHES}.0' in metrics

        said = {"from": NOON.isoformat(), "to": NOON.isoformat()}
        assert (await live_service.post("/v1/incidents", json=[crime | said], headers=kent)).is_success
        [event] = await collect(live_service, 1, kent, after=0)
        assert event["data"]["incident"]["reference"] == "C1"
        assert event["data"]["evidence"]["n_pings"] == 2 * BATCHES
        assert (await readiness(live_service, kent))[1]["batches"] == BATCHES
        await holder.execute("SELECT pg_advisory_unlock(77)")
    async with asyncio.timeout(60):
        while (await readiness(live_service, kent))[1]["batches"]:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)
    assert await pool.fetchval("SELECT count(*) FROM ping") == BATCHES * len(INSIDE)
    assert await pool.fetchval("SELECT count(*) FROM alert_revision") == 1
