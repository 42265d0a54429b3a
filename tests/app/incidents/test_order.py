"""What holds when several post at once: versions follow each other, and publishing order misses nothing."""

import asyncio
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db import Connection, Pool
from app.identity import incident_id
from tests.app.conftest import MakeKey
from tests.app.incidents.examples import an_incident

Json = Any

# Few values of few fields, so that a record often comes back to what it was.
records = st.fixed_dictionaries(
    {},
    optional={
        "offence": st.sampled_from(["RB", "BIAD"]),
        "from": st.sampled_from(["2026-03-01T20:00:00Z", "2026-03-01T21:00:00+01:00", "2026-03-01T21:00:00Z"]),
        "text": st.sampled_from(["", "t", None]),
        "withdrawn": st.booleans(),
        "position_r95_m": st.sampled_from([0.0, 0, 5.5, None]),
    },
)
bodies = st.lists(st.lists(st.tuples(st.sampled_from("ab"), records), max_size=4), max_size=5)


def said(record: Json) -> Json:
    """What a record says, with what it leaves out."""
    hours = {"2026-03-01T20:00:00Z": 20, "2026-03-01T21:00:00+01:00": 20}
    return (
        record.get("offence", "OTHER"),
        hours.get(record.get("from", ""), 21),
        record.get("text"),
        record.get("withdrawn", False),
        record.get("position_r95_m"),
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=bodies)
async def test_the_history_is_that_of_a_notebook_in_which_repeats_are_not_written(
    service: httpx.AsyncClient, make_key: MakeKey, connection: Connection, sent: list[list[tuple[str, Json]]]
) -> None:
    key = await make_key("met", "force", "incidents:write")
    run = await connection.fetchval("SELECT count(*) FROM audit_event")
    notebook: dict[str, list[Json]] = {}
    for body in sent:
        for reference, record in body:
            pages = notebook.setdefault(reference, [])
            if not pages or pages[-1] != said(record):
                pages.append(said(record))
        base = {"offence": None, "from_": "2026-03-01T21:00:00Z"}
        posts = [an_incident(**{**base, "reference": f"{run}/{reference}"}) | record for reference, record in body]
        assert (await service.post("/v1/incidents", json=posts, headers=key)).status_code == 200
    for reference, pages in notebook.items():
        rows = await connection.fetch(
            "SELECT * FROM incident_version WHERE incident_id = $1 ORDER BY version",
            incident_id("met", f"{run}/{reference}"),
        )
        stored = [(r["offence"], r["from_at"].hour, r["text"], r["is_withdrawn"], r["position_r95_m"]) for r in rows]
        assert stored == pages
        assert [r["publish_seq"] for r in rows] == sorted(r["publish_seq"] for r in rows)


async def test_posts_of_one_incident_at_once_give_consecutive_versions(
    service: httpx.AsyncClient, make_key: MakeKey
) -> None:
    key = await make_key("met", "force", "incidents:write")
    answers = await asyncio.gather(
        *(service.post("/v1/incidents", json=[an_incident(text=str(n))], headers=key) for n in range(12))
    )
    assert sorted(answer.json()["incidents"][0]["version"] for answer in answers) == list(range(1, 13))


async def test_who_reads_what_was_published_since_the_last_time_misses_no_version(
    service: httpx.AsyncClient, make_key: MakeKey, pool: Pool
) -> None:
    """Fails without the lock: a version that drew its number early and commits late is stepped over."""
    key = await make_key("met", "force", "incidents:write")
    ended = asyncio.Event()

    async def read_on() -> list[int]:
        seen: list[int] = []
        async with pool.acquire() as reader:
            while True:
                is_last = ended.is_set()
                rows = await reader.fetch(
                    "SELECT publish_seq FROM incident_version WHERE publish_seq > $1 ORDER BY 1", max(seen, default=0)
                )
                seen += [row["publish_seq"] for row in rows]
                if is_last:
                    return seen

    async def write(writer: int) -> None:
        # Bodies of many sizes, so that a transaction which begins later often ends earlier.
        for n, size in enumerate((200, 1, 50, 1, 1)):
            body = [an_incident(reference=f"{writer}/{n}/{each}") for each in range(size)]
            assert (await service.post("/v1/incidents", json=body, headers=key)).status_code == 200

    reading = asyncio.create_task(read_on())
    await asyncio.gather(*(write(writer) for writer in range(5)))
    ended.set()
    seen = await reading
    async with pool.acquire() as connection:
        assert len(seen) == await connection.fetchval("SELECT count(*) FROM incident_version") == 5 * 253
