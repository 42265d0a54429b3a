"""Rejected rows: listed for who sent them, and sent through the checks again."""

from datetime import UTC, datetime, timedelta

import httpx

from app.db import Connection, Pool
from app.pings.forgetting import forget_rejects_before
from app.pings.rejects import KEPT_FOR, Retried, retry_rejects
from tests.app.conftest import MakeKey
from tests.app.pings.conftest import ping, stored_pings

Key = dict[str, str]


async def test_rejected_rows_are_listed_page_by_page(service: httpx.AsyncClient, key: Key) -> None:
    await service.post("/v1/pings", json=[ping(lat=91, device_id=f"T{row}") for row in range(5)], headers=key)
    path: str | None = "/v1/pings/rejected?limit=2"
    pages = []
    while path:
        answer = await service.get(path, headers=key)
        assert answer.status_code == 200, answer.text
        pages.append([row["raw"]["device_id"] for row in answer.json()["rejected"]])
        path = answer.links["next"]["url"] if "next" in answer.links else None
    assert pages == [["T0", "T1"], ["T2", "T3"], ["T4"]]
    row = (await service.get("/v1/pings/rejected?limit=1", headers=key)).json()["rejected"][0]
    assert (row["line"], row["pointer"], row["code"], row["raw"]) == (
        1, "/lat", "out_of_range", ping(lat=91, device_id="T0")
    )  # fmt: skip


async def test_rejected_rows_are_shown_to_who_sent_them_and_the_look_is_recorded(
    service: httpx.AsyncClient, key: Key, make_key: MakeKey, connection: Connection
) -> None:
    await service.post("/v1/pings", json=[ping(lat=91)], headers=key)
    other = await make_key("bands", "contractor", "pings:read", "pings:write")
    assert (await service.get("/v1/pings/rejected", headers=other)).json() == {"rejected": [], "next": None}
    write_only = await make_key("tags", "contractor", "pings:write")
    assert (await service.get("/v1/pings/rejected", headers=write_only)).status_code == 403
    assert await connection.fetchval("SELECT count(*) FROM audit_event WHERE action = 'pings.list_rejected'") == 1


SET_RIGHT = """UPDATE ping_reject SET raw = jsonb_set(raw, '{fixed_at}', '"2024-03-01T09:30:00Z"') WHERE line <> 2"""


async def test_what_is_acceptable_by_now_is_stored_once_by_a_retry(
    service: httpx.AsyncClient, key: Key, make_key: MakeKey, connection: Connection, pool: Pool
) -> None:
    ahead = "2999-03-01T09:30:00Z"
    batch = [ping(fixed_at=ahead), ping(fixed_at=ahead, device_id="B2"), ping(fixed_at=ahead, device_id="C3"), 17]
    await service.post("/v1/pings", json=batch, headers=key)
    other = await make_key("bands", "contractor", "pings:write")
    await service.post("/v1/pings", json=[ping(fixed_at=ahead)], headers=other)
    assert await retry_rejects(pool, None) == Retried(5, 0)
    # As if the clock had come to them.
    await connection.execute(SET_RIGHT.replace("line <> 2", "line <> 2 AND code = 'in_future'"))
    assert await retry_rejects(pool, None, organisation="tags", code="wrong_type") == Retried(1, 0)
    assert await retry_rejects(pool, None, organisation="tags") == Retried(4, 2)
    assert [fix[0] for fix in await stored_pings(connection)] == ["A1", "C3"]
    assert await retry_rejects(pool, None) == Retried(3, 1)
    assert await retry_rejects(pool, None) == Retried(2, 0)
    listed = await service.get("/v1/pings/rejected", headers=key | await make_key("tags", "contractor", "pings:read"))
    assert [row["line"] for row in listed.json()["rejected"]] == [2, 4]
    batches = await connection.fetch("SELECT accepted, rejected FROM ping_batch ORDER BY batch_id")
    assert [tuple(row) for row in batches] == [(0, 4), (0, 1), (2, 0), (1, 0)]


AGE = "UPDATE ping_reject SET rejected_at = now() - $1::interval WHERE raw ->> 'device_id' = ANY($2::text[])"


async def test_rejected_rows_are_kept_for_thirty_days(
    service: httpx.AsyncClient, key: Key, make_key: MakeKey, connection: Connection, pool: Pool
) -> None:
    batch = [ping(fixed_at="2999-03-01T09:30:00Z", device_id=f"T{row}") for row in range(5)]
    await service.post("/v1/pings", json=batch, headers=key)
    await connection.execute(AGE, timedelta(days=30, hours=1), ["T0", "T1", "T3"])
    await connection.execute(AGE, timedelta(days=29), ["T2"])
    read = key | await make_key("tags", "contractor", "pings:read")
    listed = (await service.get("/v1/pings/rejected", headers=read)).json()["rejected"]
    assert [row["raw"]["device_id"] for row in listed] == ["T2", "T4"]
    assert await retry_rejects(pool, None) == Retried(2, 0)
    assert await forget_rejects_before(pool, datetime.now(UTC) - KEPT_FOR, at_once=2) == 3
    left = await connection.fetch("SELECT raw ->> 'device_id' FROM ping_reject ORDER BY reject_id")
    assert [row[0] for row in left] == ["T2", "T4"]
