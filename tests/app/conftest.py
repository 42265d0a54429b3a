"""The service over real HTTP, without its matcher or with it, on a database of the test's own; and keys to call it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

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


@pytest.fixture
async def service(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(application, "off") as client:
        yield client


@pytest.fixture
async def live_service(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The whole service, its matcher running."""
    async with serving(create_app(Settings(), database_url), "on") as client:
        yield client


@contextlib.asynccontextmanager
async def serving(app: FastAPI, lifespan: Literal["on", "off"]) -> AsyncIterator[httpx.AsyncClient]:
    """Serve on a free port for the block."""
    config = uvicorn.Config(app, lifespan=lifespan, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    # Listening from here on, so that a request waits until the server is up.
    listening = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve([listening]))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def make_key(connection: Connection) -> MakeKey:
    """Make a key, and its organisation if need be; gives the headers to call with."""

    async def make(organisation: str, kind: str, *scopes: str) -> dict[str, str]:
        organisation_id = await find_or_create_organisation(connection, organisation, kind, None)
        key = await create_key(connection, organisation_id, set(scopes), label="test")
        return {"Authorization": f"Bearer {key}"}

    return make
