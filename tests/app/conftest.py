"""The service over real HTTP, without the matcher, on a database of the test's own; and keys to call it with."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from app import docs, health
from app.access.keys import create_key
from app.access.organisations import find_or_create_organisation
from app.activations.routes import router as activations
from app.db import Connection, Pool
from app.devices.routes import router as devices
from app.errors import add_error_handlers
from app.incidents.routes import router as incidents
from app.matching.profiles import publish_built_in
from app.requests import RequestRecorder
from app.settings import Settings
from app.wearers.routes import router as wearers

MakeKey = Callable[..., Awaitable[dict[str, str]]]


@pytest.fixture
async def application(pool: Pool) -> FastAPI:
    app = FastAPI(title="TrailMatch", version="0", docs_url=None, redoc_url=None, openapi_url=None)
    add_error_handlers(app)
    for router in (devices, wearers, activations, incidents, health.router, docs.router):
        app.include_router(router)
    app.add_middleware(RequestRecorder)
    app.state.pool, app.state.settings, app.state.matcher = pool, Settings(database_url="postgresql://"), None
    async with pool.acquire() as connection:
        await publish_built_in(connection)
    return app


@pytest.fixture
async def service(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_config=None))
    # Listening from here on, so that a request waits until the server is up.
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listening]))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=30) as client:
        yield client
    server.should_exit = True
    await serving


@pytest.fixture
def make_key(connection: Connection) -> MakeKey:
    """Make a key, and its organisation if need be; gives the headers to call with."""

    async def make(organisation: str, kind: str, *scopes: str) -> dict[str, str]:
        organisation_id = await find_or_create_organisation(connection, organisation, kind, None)
        key = await create_key(connection, organisation_id, set(scopes), label="test")
        return {"Authorization": f"Bearer {key}"}

    return make
