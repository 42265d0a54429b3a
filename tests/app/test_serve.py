"""`trailmatch serve` as a process: what it says, what it refuses, how it ends."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from app.access.keys import create_key
from app.access.organisations import find_or_create_organisation
from app.db import Connection


@contextlib.asynccontextmanager
async def _serve(*options: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "serve", "--no-matcher", *options),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Read on until it says where it is."""
    assert process.stderr is not None
    async for line in process.stderr:
        if line.startswith(b"TrailMatch"):
            return line.decode().split()[1]
    raise AssertionError("it ended without saying where it is")


async def _end(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    _, err = await process.communicate()
    return process.returncode, err.decode()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_and_logs_without_addresses_and_ends_well(
    database_url: str, connection: Connection, sign: signal.Signals
) -> None:
    organisation = await find_or_create_organisation(connection, "met", "force", None)
    key = await create_key(connection, organisation, {"incidents:read"}, "test")
    async with _serve("--port", "0", DATABASE_URL=database_url) as process:
        async with httpx.AsyncClient(base_url=await _address(process), timeout=60) as client:
            answer = await client.get("/v1/incidents?reference=secret", headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 200
            assert (await client.get("/health/readiness", headers={"Authorization": f"Bearer {key}"})).is_success
        process.send_signal(sign)
        code, err = await _end(process)
    assert code == 0, err
    events = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    [request] = [event for event in events if event.get("route") == "/v1/incidents"]
    assert (request["method"], request["status"], request["request_id"]) == (
        "GET",
        200,
        answer.headers["x-request-id"],
    )
    assert "secret" not in err
    assert key not in err


async def test_a_port_that_is_taken_is_one_line(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with _serve("--port", port, DATABASE_URL=database_url) as process:
            code, err = await _end(process)
    assert code == 1
    assert err.splitlines() == [
        f"trailmatch: port {port} of 127.0.0.1 is taken by another program; choose one with --port"
    ]


async def test_a_server_without_the_schema_is_left_alone_and_the_command_named(empty_database_url: str) -> None:
    async with _serve("--port", "0", DATABASE_URL=empty_database_url) as process:
        code, err = await _end(process)
    assert (code, err.splitlines()[-1].endswith("run: trailmatch db migrate")) == (1, True)


async def test_a_default_profile_that_is_not_there_is_refused_with_those_that_are(database_url: str) -> None:
    async with _serve("--port", "0", DATABASE_URL=database_url, TRAILMATCH_DEFAULT_PROFILE="nobody") as process:
        code, err = await _end(process)
    assert code == 1
    assert err.splitlines() == [
        "trailmatch: TRAILMATCH_DEFAULT_PROFILE: no profile 'nobody'; known: moj-compatible, radius-100m, standard"
    ]


@pytest.fixture
def state_dir() -> Iterator[Path]:
    # Not pytest's directory: its path is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="trailmatch-") as directory:
        Path(directory).chmod(0o755)  # where PostgreSQL has to run as another user, that one must get in
        yield Path(directory)


async def test_without_a_server_it_starts_and_migrates_its_own_and_stops_it(state_dir: Path) -> None:
    environment = {"TRAILMATCH_STATE_DIR": str(state_dir), "DATABASE_URL": ""}
    async with _serve("--port", "0", **environment) as process:
        async with httpx.AsyncClient(base_url=await _address(process), timeout=60) as client:
            assert (await client.get("/health/liveness")).status_code == 200
        process.send_signal(signal.SIGTERM)
        code, err = await _end(process)
    assert code == 0, err
    assert not (state_dir / "postgres" / "postmaster.pid").exists()


async def test_it_ends_with_a_server_of_its_own_that_is_killed_and_says_so(state_dir: Path) -> None:
    environment = {"TRAILMATCH_STATE_DIR": str(state_dir), "DATABASE_URL": ""}
    async with _serve("--port", "0", **environment) as process:
        await _address(process)
        os.kill(int((state_dir / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        # Not only when whoever waits for a connection has given up, after more than half a minute.
        async with asyncio.timeout(20):
            code, err = await _end(process)
    assert code == 1
    assert "trailmatch: PostgreSQL has ended by itself (signal 9); what was acknowledged is kept" in err
