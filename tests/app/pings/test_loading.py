"""`trailmatch pings load FILE` against a running service."""

import asyncio
import gzip
import json
import sys
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.db import Connection
from app.failure import Failure
from app.pings.loading import read_parts
from tests.app.pings.conftest import ping, stored_pings

Key = dict[str, str]
AT_US = 1_709_285_400_000_000


async def run(service: httpx.AsyncClient, key: Key, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from app.cli import main; main()", "pings", "load", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"TRAILMATCH_KEY": key["Authorization"].removeprefix("Bearer "), "TRAILMATCH_URL": str(service.base_url)},
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_files_of_every_form_are_loaded(
    service: httpx.AsyncClient, key: Key, connection: Connection, tmp_path: Path
) -> None:
    table = pa.table({"device_id": ["A1"], "ts": pa.array([AT_US], pa.timestamp("us", "UTC")), "lon": [1.0],
                      "lat": [2.0], "occupied": [True]})  # fmt: skip
    pq.write_table(table, tmp_path / "pings.parquet")
    csv = "device_id,ts,lon,lat,accuracy_m\nA1,2024-03-01T09:30:00Z,1,2.0,\n"
    (tmp_path / "pings.csv").write_text(csv)
    (tmp_path / "pings.csv.gz").write_bytes(gzip.compress(csv.encode()))
    line = json.dumps(ping(lon=1, lat=2)).encode() + b"\n"
    (tmp_path / "pings.ndjson").write_bytes(line)
    for name in ("pings.parquet", "pings.csv", "pings.csv.gz", "pings.ndjson"):
        code, out, err = await run(service, key, str(tmp_path / name), "--json")
        assert (code, err) == (0, ""), name
        loaded = json.loads(out)
        assert (loaded["rows"], loaded["accepted"] + loaded["duplicates"]) == (1, 1), name
    assert (await run(service, key, "-", stdin=line))[:2] == (
        0, "1 rows, 0 accepted, 1 duplicates, 0 conflicts, 0 rejected\n"
    )  # fmt: skip
    assert await stored_pings(connection) == [("A1", AT_US, 0, 10_000_000, 20_000_000, -1, -1, -1)]


async def test_rejected_rows_are_named_and_the_rest_is_loaded(
    service: httpx.AsyncClient, key: Key, connection: Connection, tmp_path: Path
) -> None:
    (tmp_path / "pings.csv").write_text(
        "device_id,fixed_at,lon,lat\n17,2024-03-01T09:30:00Z,1,2\nB2,2024-03-01T09:30:00Z,east,2\n,2024,nan,2\n"
    )
    code, out, err = await run(service, key, str(tmp_path / "pings.csv"))
    assert (code, out) == (3, "3 rows, 1 accepted, 0 duplicates, 0 conflicts, 2 rejected\n")
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        ["row 2 /lon", "wrong_type"],
        ["row 3 /device_id", "missing_field"],
        ["row 3 /fixed_at", "wrong_type"],
        ["row 3 /lon", "wrong_type"],
    ]
    assert [fix[0] for fix in await stored_pings(connection)] == ["17"]


async def test_what_cannot_be_sent_is_said_in_one_line(service: httpx.AsyncClient, key: Key, tmp_path: Path) -> None:
    (tmp_path / "pings.ndjson").write_text("{}\n")
    wrong_key = {"Authorization": "Bearer tm_00000000_" + "0" * 64}
    for arguments, headers, said in (
        ([str(tmp_path / "pings.ndjson")], wrong_key, "401: This API key is unknown"),
        ([str(tmp_path / "none.csv")], key, "cannot be read"),
        ([str(tmp_path / "pings.xlsx")], key, ".parquet, .csv"),
    ):
        code, out, err = await run(service, headers, *arguments)
        assert (code, out) == (1, "")
        assert said in err
        assert err.count("\n") == 1


def test_a_file_is_cut_into_bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.pings.loading.BODY_ROWS", 2)
    (tmp_path / "pings.ndjson").write_text("1\n2\n3\n4\n5")
    assert [(part.content, part.rows) for part in read_parts(str(tmp_path / "pings.ndjson"))] == [
        (b"1\n2\n", 2), (b"3\n4\n", 2), (b"5", 1)
    ]  # fmt: skip
    (tmp_path / "pings.csv").write_text("device_id,fixed_at_us,lon\nA1,1,1e999\nA1,2,-3\nB2,x,4.5\n")
    parts = [json.loads(part.content) for part in read_parts(str(tmp_path / "pings.csv"))]
    assert parts == [
        {"device_id": ["A1", "A1"], "fixed_at_us": [1, 2], "lon": ["1e999", -3.0]},
        {"device_id": ["B2"], "fixed_at_us": ["x"], "lon": [4.5]},
    ]
    (tmp_path / "pings.csv").write_text("device_id,lon\nA1\n")
    with pytest.raises(Failure, match="number of fields"):
        list(read_parts(str(tmp_path / "pings.csv")))


class BusyOnce:
    """Answers the first request with 503, as a service does whose database is away for a moment."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.refused:
            await self.app(scope, receive, send)
            return
        self.refused += 1
        await Response(status_code=503, headers={"Retry-After": "0"})(scope, receive, send)


async def test_a_service_that_is_away_for_a_moment_is_waited_for(
    application: FastAPI, service: httpx.AsyncClient, key: Key
) -> None:
    application.add_middleware(BusyOnce)
    line = json.dumps(ping()).encode()
    code, out, _ = await run(service, key, "-", stdin=line)
    assert (code, out) == (0, "1 rows, 1 accepted, 0 duplicates, 0 conflicts, 0 rejected\n")


async def test_a_real_day_is_loaded_and_found_again(
    real_data: Path, service: httpx.AsyncClient, key: Key, connection: Connection
) -> None:
    file = str(real_data / "sf2008_fixture_pings_20080530.csv.gz")
    rows = sum(part.rows for part in read_parts(file))
    code, out, _ = await run(service, key, file, "--json")
    first = json.loads(out)
    assert (code, first["rejected"]) == (0, 0)
    assert first["accepted"] + first["duplicates"] + first["conflicts"] == rows
    assert await connection.fetchval("SELECT count(*) FROM ping") == first["accepted"]
    _, out, _ = await run(service, key, file, "--json")
    assert json.loads(out)["duplicates"] == rows
