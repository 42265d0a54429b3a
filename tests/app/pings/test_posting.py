"""POST /v1/pings over real HTTP: what is answered, and what is stored by then."""

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from itertools import product
from typing import Any

import httpx
import pyarrow as pa
import pytest
from fastapi import FastAPI

from app.db import Connection
from app.settings import Settings
from tests.app.conftest import MakeKey
from tests.app.pings.conftest import ping, stored_pings
from tests.app.pings.test_checks import arrow

AT_US = 1_709_285_400_000_000
ARROW = "application/vnd.apache.arrow.stream"
Key = dict[str, str]


def body(*pings: dict[str, object]) -> bytes:
    return json.dumps(pings).encode()


async def test_a_ping_is_stored_in_fixed_point(service: httpx.AsyncClient, key: Key, connection: Connection) -> None:
    full = ping(accuracy_m=8.5, speed_mps=1.25, direction_deg=270.5, source="gps")
    answer = await service.post("/v1/pings", json=[full, ping(device_id="B2")], headers=key)
    assert answer.status_code == 200, answer.text
    assert answer.json() | {"batch_id": 1} == {
        "batch_id": 1, "accepted": 2, "duplicates": 0, "conflicts": 0, "rejected": 0, "errors": [],
        "errors_omitted": 0, "ignored_fields": {}, "ignored_fields_omitted": 0,
    }  # fmt: skip
    assert await stored_pings(connection) == [
        ("A1", AT_US, 1, -25_879_000, 514_545_000, 850, 125, 27_050),
        ("B2", AT_US, 0, -25_879_000, 514_545_000, -1, -1, -1),
    ]


async def test_the_same_batch_again_is_all_duplicates(
    service: httpx.AsyncClient, key: Key, connection: Connection
) -> None:
    batch = [ping(), ping(device_id="B2"), ping(source="gps")]
    await service.post("/v1/pings", json=batch, headers=key)
    before = await stored_pings(connection)
    receipt = (await service.post("/v1/pings", json=batch, headers=key)).json()
    assert (receipt["accepted"], receipt["duplicates"], receipt["conflicts"]) == (0, 3, 0)
    assert await stored_pings(connection) == before


async def test_a_bad_row_refuses_itself_only(service: httpx.AsyncClient, key: Key, connection: Connection) -> None:
    batch = [ping(), ping(lat=91, source="lora"), ping(device_id="B2", occupied=1)]
    receipt = (await service.post("/v1/pings", json=batch, headers=key)).json()
    assert (receipt["accepted"], receipt["rejected"], receipt["ignored_fields"]) == (2, 1, {"occupied": 1})
    assert [(e["line"], e["pointer"], e["code"]) for e in receipt["errors"]] == [
        (2, "/lat", "out_of_range"),
        (2, "/source", "unknown_source"),
    ]
    kept = await connection.fetch("SELECT batch_id, line, pointer, code, raw FROM ping_reject")
    assert [tuple(row) for row in kept] == [(receipt["batch_id"], 2, "/lat", "out_of_range", batch[1])]


async def test_errors_and_other_fields_are_listed_up_to_a_number(service: httpx.AsyncClient, key: Key) -> None:
    batch = [ping(lat=91, **{f"extra{number}": 1}) for number in range(1_200)]
    receipt = (await service.post("/v1/pings", json=batch, headers=key)).json()
    assert (receipt["rejected"], len(receipt["errors"]), receipt["errors_omitted"]) == (1_200, 1_000, 200)
    assert (len(receipt["ignored_fields"]), receipt["ignored_fields_omitted"]) == (50, 1_150)


async def test_a_batch_with_nothing_to_store_is_answered_and_matched_already(
    service: httpx.AsyncClient, key: Key, connection: Connection
) -> None:
    batches: list[list[Any]] = [[], [3], [{}, None]]
    for rows in batches:
        receipt = (await service.post("/v1/pings", json=rows, headers=key)).json()
        assert (receipt["accepted"], receipt["rejected"]) == (0, len(rows))
    assert await connection.fetchval("SELECT bool_and(payload IS NULL AND matched_at IS NOT NULL) FROM ping_batch")


async def test_a_batch_says_what_it_was_and_who_sent_it(
    service: httpx.AsyncClient, key: Key, connection: Connection
) -> None:
    content = body(ping(), ping(), ping(lon=1), ping(lat=-91))
    receipt = (await service.post("/v1/pings", content=content, headers=key)).json()
    batch = await connection.fetchrow(
        "SELECT content_sha256, accepted, duplicates, conflicts, rejected, matched_at, api_key_id FROM ping_batch"
    )
    api_key_id = await connection.fetchval("SELECT api_key_id FROM api_key")
    assert tuple(batch or ()) == (hashlib.sha256(content).digest(), 1, 1, 1, 1, None, api_key_id)
    events = await connection.fetch("SELECT action, subject, api_key_id FROM audit_event")
    assert [tuple(event) for event in events] == [("pings.store", f"batch {receipt['batch_id']}", api_key_id)]


TABLE = pa.table({"device_id": ["A1"], "fixed_at_us": [AT_US], "lon": [1.0], "lat": [2.0]})
FORMS = {
    "array": ("application/json; charset=utf-8", body(ping(lon=1, lat=2))),
    "columns": ("application/json", json.dumps({name: [value] for name, value in ping(lon=1, lat=2).items()}).encode()),
    "lines": ("application/x-ndjson", json.dumps(ping(lon=1, lat=2)).encode()),
    "arrow": (ARROW, arrow(TABLE)),
}


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {"identity": bytes, "gzip": gzip.compress, "zstd": zstd}


async def test_every_form_and_encoding_stores_the_same(
    service: httpx.AsyncClient, key: Key, connection: Connection
) -> None:
    for form, encoding in product(FORMS, ENCODINGS):
        media_type, content = FORMS[form]
        headers = {**key, "Content-Type": media_type, "Content-Encoding": encoding}
        answer = await service.post("/v1/pings", content=ENCODINGS[encoding](content), headers=headers)
        assert answer.status_code == 200, (form, encoding, answer.text)
        assert answer.json()["accepted"] + answer.json()["duplicates"] == 1, (form, encoding)
        assert await stored_pings(connection) == [("A1", AT_US, 0, 10_000_000, 20_000_000, -1, -1, -1)]


UNDECODABLE = [
    ("application/json", "identity", b""),
    ("application/json", "identity", b'[{"device_id":'),
    ("application/json", "identity", b"[NaN]"),
    ("application/json", "identity", b'["\xff"]'),
    ("application/json", "identity", b"17"),
    ("application/json", "identity", body(ping())[1:-1]),
    ("application/json", "identity", b"[" * 100_000),
    ("application/json", "identity", b'{"device_id":["A1"],"lon":[]}'),
    ("application/json", "identity", b"[1e999, NaN]"),
    ("application/json", "gzip", gzip.compress(body(ping()))[:-9]),
    ("application/json", "gzip", b"[]"),
    ("application/json", "zstd", b"(\xb5/\xfd"),
    (ARROW, "identity", b""),
    (ARROW, "identity", arrow(TABLE)[:-60]),
    (ARROW, "identity", body(ping())),
]


async def test_what_cannot_be_decoded_is_a_bad_body(
    service: httpx.AsyncClient, key: Key, connection: Connection
) -> None:
    for media_type, encoding, content in UNDECODABLE:
        headers = {**key, "Content-Type": media_type, "Content-Encoding": encoding}
        answer = await service.post("/v1/pings", content=content, headers=headers)
        assert answer.status_code == 400, (media_type, encoding, content[:50], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert await connection.fetchval("SELECT count(*) FROM ping_batch") == 0


async def test_an_unknown_type_or_encoding_is_said(service: httpx.AsyncClient, key: Key) -> None:
    for unknown in ({"Content-Type": "text/csv"}, {"Content-Encoding": "br"}, {"Content-Encoding": "gzip, gzip"}):
        headers = {"Content-Type": "application/json", **key, **unknown}
        assert (await service.post("/v1/pings", content=b"[]", headers=headers)).status_code == 415


@pytest.fixture
def small(application: FastAPI) -> None:
    application.state.settings = Settings(
        database_url="postgresql://", max_body_bytes=2_000, max_decoded_bytes=20_000, max_rows=10
    )


@pytest.mark.usefixtures("small")
async def test_a_body_over_a_limit_is_too_large(service: httpx.AsyncClient, key: Key, connection: Connection) -> None:
    async def streamed() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 100

    gzipped = {**key, "Content-Encoding": "gzip"}
    lines = {**key, "Content-Type": "application/x-ndjson"}
    in_arrow = {**key, "Content-Type": ARROW}
    answers = [
        await service.post("/v1/pings", content=b" " * 2_001, headers=key),
        await service.post("/v1/pings", content=streamed(), headers=key),
        await service.post("/v1/pings", content=gzip.compress(b" " * 20_001), headers=gzipped),
        await service.post("/v1/pings", content=b"[" + b"0," * 10 + b"0]", headers=key),
        await service.post("/v1/pings", content=b"[" + b"0," * 180 + b"0]", headers=key),
        await service.post("/v1/pings", content=b'{"lon":[' + b"0," * 10 + b"0]}", headers=key),
        await service.post("/v1/pings", content=b"0\n" * 11, headers=lines),
        await service.post("/v1/pings", content=arrow(pa.table({"lon": [1] * 11})), headers=in_arrow),
    ]
    assert [answer.status_code for answer in answers] == [413] * len(answers)
    assert await connection.fetchval("SELECT count(*) FROM ping_batch") == 0


async def test_a_batch_of_too_many_days_is_too_large(service: httpx.AsyncClient, key: Key) -> None:
    batch = [ping(fixed_at=..., fixed_at_us=day * 86_400_000_000) for day in range(367)]
    answer = await service.post("/v1/pings", json=batch, headers=key)
    assert answer.status_code == 413


async def test_devices_belong_to_who_sends_them(
    service: httpx.AsyncClient, make_key: MakeKey, connection: Connection
) -> None:
    for contractor in ("tags", "bands", "tags"):
        headers = await make_key(contractor, "contractor", "pings:write")
        await service.post("/v1/pings", json=[ping()], headers=headers)
    devices = await connection.fetch(
        "SELECT code, serial FROM device JOIN organisation ON contractor_id = organisation_id"
    )
    assert {tuple(row) for row in devices} == {("tags", "A1"), ("bands", "A1")}
    assert await connection.fetchval("SELECT count(*) FROM ping") == 2


async def test_a_rejected_row_makes_no_device(service: httpx.AsyncClient, key: Key, connection: Connection) -> None:
    await service.post("/v1/pings", json=[ping(device_id="bad", lat=91), ping()], headers=key)
    assert await connection.fetchval("SELECT array_agg(serial) FROM device") == ["A1"]


async def test_contractors_and_the_operator_send_pings(service: httpx.AsyncClient, make_key: MakeKey) -> None:
    for kind, scope, status in (
        ("contractor", "pings:read", 403),
        ("force", "pings:write", 403),
        ("probation", "pings:write", 403),
        ("operator", "pings:write", 200),
    ):
        headers = await make_key(f"some-{kind}", kind, scope)
        answer = await service.post("/v1/pings", json=[ping()], headers=headers)
        assert answer.status_code == status, (kind, scope, answer.text)


async def test_the_matcher_is_told(service: httpx.AsyncClient, key: Key, connection: Connection) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()

    def hear(*told: object) -> None:
        heard.put_nowait(told[3])

    await connection.add_listener("trailmatch", hear)
    await service.post("/v1/pings", json=[ping()], headers=key)
    assert await asyncio.wait_for(heard.get(), 10) == "pings"
    await connection.remove_listener("trailmatch", hear)


async def test_a_database_that_goes_away_in_the_middle_is_said(
    service: httpx.AsyncClient, key: Key, connection: Connection
) -> None:
    await service.post("/v1/pings", json=[ping()], headers=key)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(1, $1)", AT_US // 86_400_000_000)
        sending = asyncio.create_task(service.post("/v1/pings", json=[ping(device_id="B2")], headers=key))
        ended = False
        while not ended:
            ended = await connection.fetchval(
                "SELECT bool_or(pg_terminate_backend(pid)) FROM pg_locks WHERE NOT granted"
            )
        answer = await sending
    assert answer.status_code == 503, answer.text
    assert "Retry-After" in answer.headers
    again = await service.post("/v1/pings", json=[ping(), ping(device_id="B2")], headers=key)
    assert (again.json()["accepted"], again.json()["duplicates"]) == (1, 1)


async def test_pings_before_retention_are_refused_when_it_is_set(
    service: httpx.AsyncClient, key: Key, application: FastAPI
) -> None:
    application.state.settings = Settings(database_url="postgresql://", ping_retention_days=30)
    receipt = (await service.post("/v1/pings", json=[ping()], headers=key)).json()
    assert [error["code"] for error in receipt["errors"]] == ["before_retention"]


async def test_a_body_may_be_of_any_size_within_limits(
    service: httpx.AsyncClient, key: Key, connection: Connection
) -> None:
    """Beyond what is worked on at once, and past one piece of a compressed stream."""
    count = 40_000
    columns = {
        "device_id": [f"T{row % 50}" for row in range(count)],
        "fixed_at_us": [AT_US + row * 1_000 for row in range(count)],
        "lon": [row / 1e4 for row in range(count)],
        "lat": [51.5] * count,
    }
    headers = {**key, "Content-Encoding": "gzip"}
    answer = await service.post("/v1/pings", content=gzip.compress(json.dumps(columns).encode()), headers=headers)
    assert answer.json()["accepted"] == count
    assert await connection.fetchval("SELECT count(*) FROM ping") == count
