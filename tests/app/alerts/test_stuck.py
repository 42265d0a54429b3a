"""Clients of the stream that do not read: they hold up nobody, are given up, and miss nothing when they come again."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from app.alerts.dispatcher import dispatch
from app.listening import listen
from app.settings import Settings
from app.wake import listening
from tests.app.alerts.conftest import Case
from tests.app.conftest import Server

EVENTS = 4_000
# As if somebody had taken the one alert up again and again: some 10 MB of events, more than sockets buffer.
HAPPEN = """
INSERT INTO outbox (alert_id, revision, event, state, why)
SELECT alert_id, revision, 'taken_up', 'in_review', repeat('Somebody has taken the alert up. ', 40)
FROM alert CROSS JOIN generate_series(1, $1)
"""
PAGES_READ = "SELECT count(*) FROM audit_event WHERE action = 'alerts.stream'"


@pytest.fixture
async def address(application: FastAPI) -> AsyncIterator[str]:
    """The service as `trailmatch serve` has it listen, only less patient."""
    server = Server(uvicorn.Config(application, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
    with listen("127.0.0.1", 0, stuck_s=2.0) as sock:
        async with listening(application.state.pool) as application.state.hints:
            task = asyncio.create_task(server.serve([sock]))
            try:
                yield f"http://127.0.0.1:{sock.getsockname()[1]}"
            finally:
                server.should_exit = True
                await task


async def read_events(address: str, key: dict[str, str], after: int, until: int) -> list[int]:
    """Read positions from the stream, up to one of them."""
    positions = list[int]()
    async with (
        httpx.AsyncClient(base_url=address, headers=key, timeout=60, verify=False) as client,
        client.stream("GET", "/v1/alerts/stream", headers={"Last-Event-ID": str(after)}) as answer,
    ):
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                positions.append(int(line.removeprefix("id: ")))
                if positions[-1] == until:
                    break
    return positions


@contextlib.contextmanager
def stuck_client(address: str, key: dict[str, str]) -> Any:  # noqa: ANN401 - a generator of a socket
    """Ask for the stream, and read nothing of it."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        url = httpx.URL(address)
        client.connect((url.host, url.port))
        head = f"GET /v1/alerts/stream?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: {key['Authorization']}\r\n\r\n"
        client.sendall(head.encode())
        yield client


async def happen(case: Case) -> int:
    """Have thousands of events on the stream; gives the last position."""
    await case.world.pool.execute(HAPPEN, EVENTS)
    while await dispatch(case.world.pool):
        pass
    return int(await case.world.pool.fetchval("SELECT max(position) FROM outbox"))


async def test_a_client_that_reads_nothing_holds_up_nobody_and_is_given_up(
    case: Case, application: FastAPI, address: str
) -> None:
    last = await happen(case)
    with stuck_client(address, case.kent) as stuck:
        while not application.state.streams.n:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        # A page is read for it only when it has taken the one before.
        read = await read_events(address, case.kent, 0, last)
        assert read == sorted(set(read))
        assert len(read) == EVENTS + 1
        pages = EVENTS / 100
        assert await case.world.pool.fetchval(PAGES_READ) < 1.8 * pages
        async with asyncio.timeout(60):
            while application.state.streams.n:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        stuck.setblocking(False)
        with contextlib.suppress(OSError):
            stuck.recv(4_096)
    # It comes again with what it last saw.
    assert await read_events(address, case.kent, read[2_000], last) == read[2_001:]


async def test_more_streams_than_there_is_room_for_are_asked_to_come_again(
    case: Case, application: FastAPI, address: str
) -> None:
    application.state.settings = Settings(matcher=False, max_streams=1)
    async with httpx.AsyncClient(base_url=address, headers=case.kent, timeout=60, verify=False) as client:
        async with client.stream("GET", "/v1/alerts/stream") as first:
            lines = first.aiter_lines()  # the stream goes when nobody holds this any more
            assert await anext(lines) == ": open"
            refused = await client.get("/v1/alerts/stream")
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "2")
        async with asyncio.timeout(60):
            while application.state.streams.n:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        async with client.stream("GET", "/v1/alerts/stream") as again:
            assert again.status_code == 200


async def test_a_position_that_the_stream_has_not_come_to_is_refused_and_not_waited_for(case: Case) -> None:
    await dispatch(case.world.pool)
    [last] = [row["position"] for row in await case.world.pool.fetch("SELECT position FROM outbox")]
    for position in (last + 1, 2**63, 10**30):
        refused = await case.service.get("/v1/alerts/stream", params={"after": position}, headers=case.kent)
        assert refused.status_code == 409, refused.text
        assert "after=0" in json.loads(refused.text)["detail"]
