from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from app.db import Connection
from tests.app.conftest import MakeKey

ADD_BATCH = """
INSERT INTO ping_batch (organisation_id, content_sha256, accepted, duplicates, conflicts, rejected, received_at)
SELECT organisation_id, '', 1, 0, 0, 0, now() - interval '1 hour' FROM organisation
"""


async def test_liveness_needs_no_key_and_no_database(service: httpx.AsyncClient, application: FastAPI) -> None:
    application.state.pool = None
    answer = await service.get("/health/liveness")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


@pytest.mark.parametrize("path", ["/health/readiness", "/info", "/metrics"])
async def test_everything_else_needs_a_key(service: httpx.AsyncClient, path: str) -> None:
    assert (await service.get(path)).status_code == 401


async def test_a_migrated_service_is_ready(service: httpx.AsyncClient, make_key: MakeKey) -> None:
    answer = await service.get("/health/readiness", headers=await make_key("gps", "contractor", "pings:write"))
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "database": "reachable",
        "migrations": "applied",
        "matcher": {
            "state": "off", "batches": 0, "arrivals": 0, "rejoins": 0, "due": 0, "undispatched": 0, "oldest_s": 0.0
        },
    }  # fmt: skip


async def test_a_pending_migration_makes_it_unready(
    service: httpx.AsyncClient, make_key: MakeKey, connection: Connection
) -> None:
    key = await make_key("gps", "contractor", "pings:write")
    await connection.execute("DELETE FROM schema_migration WHERE version = (SELECT max(version) FROM schema_migration)")
    answer = await service.get("/health/readiness", headers=key)
    assert (answer.status_code, answer.json()["migrations"]) == (503, "pending")


@pytest.mark.parametrize(("status", "state"), [(503, "starting"), (200, "warm"), (200, "restarting")])
async def test_a_matcher_that_was_never_warm_makes_it_unready(
    service: httpx.AsyncClient, application: FastAPI, make_key: MakeKey, status: int, state: str
) -> None:
    application.state.matcher = SimpleNamespace(state=state)
    answer = await service.get("/health/readiness", headers=await make_key("gps", "contractor", "pings:write"))
    assert (answer.status_code, answer.json()["matcher"]["state"]) == (status, state)


async def test_lag_is_reported_and_does_not_make_it_unready(
    service: httpx.AsyncClient, make_key: MakeKey, connection: Connection
) -> None:
    key = await make_key("gps", "contractor", "pings:write")
    await connection.execute(ADD_BATCH)
    answer = await service.get("/health/readiness", headers=key)
    assert answer.status_code == 200
    assert answer.json()["matcher"]["batches"] == 1
    assert 3600 <= answer.json()["matcher"]["oldest_s"] < 3700


async def test_a_database_that_is_gone_is_a_503_problem(
    service: httpx.AsyncClient, make_key: MakeKey, application: FastAPI
) -> None:
    key = await make_key("gps", "contractor", "pings:write")
    application.state.pool.terminate()
    answer = await service.get("/health/readiness", headers=key)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"


async def test_info_names_versions_and_profiles(service: httpx.AsyncClient, make_key: MakeKey) -> None:
    body = (await service.get("/info", headers=await make_key("gps", "contractor", "pings:write"))).json()
    assert [(p["name"], p["version"]) for p in body["profiles"]] == [
        ("moj-compatible", 1),
        ("radius-100m", 1),
        ("standard", 1),
    ]
    assert int(body["postgresql"].partition(".")[0]) >= 15


async def test_metrics_need_their_scope_and_count_what_waits_now(
    service: httpx.AsyncClient, make_key: MakeKey, connection: Connection
) -> None:
    assert (
        await service.get("/metrics", headers=await make_key("gps", "contractor", "pings:write"))
    ).status_code == 403
    key = await make_key("ops", "operator", "metrics:read")
    await connection.execute(ADD_BATCH)
    text = (await service.get("/metrics", headers=key)).text
    assert 'trailmatch_inbox_depth{kind="batches"} 2.0' in text.splitlines()
