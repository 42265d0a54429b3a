"""The service over real HTTP, without its matcher or with it, on a database of the test's own; and keys to call it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Literal

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.keys import create_key
from app.access.organisations import find_or_create_organisation
from app.db import Connection, Pool
from app.main import create_app
from app.matching.profiles import publish_built_in
from app.settings import Settings

MakeKey = Callable[..., Awaitable[dict[str, str]]]


@pytest.fixture
async def application(pool: Pool, database_url: str) -> FastAPI:
    """The service on the test's own pool, so that a test may break that under it; without a matcher."""
    app = create_app(Settings(matcher=False), database_url)
    app.state.pool, app.state.matcher = pool, None
    async with pool.acquire() as connection:
        await publish_built_in(connection)
    return app


class Server(uvicorn.Server):
    """Leaves Ctrl-C to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class OneOfMany:
    """Passes requests on to the application of the test that runs, so that all tests share one server."""

    def __init__(self) -> None:
        self.application: FastAPI | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.application is not None, "a request after the end of its test"
        await self.application(scope, receive, send)


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[tuple[OneOfMany, Server, str]]:
    """A server whose application each test sets."""
    application = OneOfMany()
    async with _listening(application, "off") as (server, address):
        yield application, server, address


@pytest.fixture
async def service(application: FastAPI, server: tuple[OneOfMany, Server, str]) -> AsyncIterator[httpx.AsyncClient]:
    """The service over HTTP, without a matcher."""
    stand_in, running, address = server
    stand_in.application = application
    async with _client(address) as client:
        yield client
    async with asyncio.timeout(10):
        while running.server_state.tasks:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
    stand_in.application = None


@pytest.fixture
async def live_service(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The whole service, its matcher running."""
    async with serving(create_app(Settings(), database_url), "on") as client:
        yield client


@contextlib.asynccontextmanager
async def serving(app: FastAPI, lifespan: Literal["on", "off"]) -> AsyncIterator[httpx.AsyncClient]:
    """Serve on a free port for the block."""
    async with _listening(app, lifespan) as (_, address), _client(address) as client:
        yield client


@contextlib.asynccontextmanager
async def _listening(app: ASGIApp, lifespan: Literal["on", "off"]) -> AsyncIterator[tuple[Server, str]]:
    config = uvicorn.Config(app, lifespan=lifespan, log_config=None, timeout_graceful_shutdown=1)
    server = Server(config)
    # Listening from here on, so that a request waits until the server is up.
    listening = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield server, f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def _client(address: str) -> httpx.AsyncClient:
    # No connection is encrypted, and loading certificates takes longer than many a test.
    return httpx.AsyncClient(base_url=address, timeout=60, verify=False)


@pytest.fixture
def make_key(connection: Connection) -> MakeKey:
    """Make a key, and its organisation if need be; gives the headers to call with."""

    async def make(organisation: str, kind: str, *scopes: str) -> dict[str, str]:
        organisation_id = await find_or_create_organisation(connection, organisation, kind, None)
        key = await create_key(connection, organisation_id, set(scopes), label="test")
        return {"Authorization": f"Bearer {key}"}

    return make
