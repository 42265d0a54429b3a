"""The service: an application made from settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from app import docs, health
from app.accounts.routes import router as accounts
from app.activations.routes import router as activations
from app.alerts.review_routes import router as review
from app.alerts.routes import router as alerts
from app.alerts.stream import Streams
from app.beside import running_beside
from app.caseloads.routes import router as caseloads
from app.db import connect_pool
from app.delivery.outside import outside_of
from app.delivery.routes import router as delivery
from app.device_events.routes import router as device_events
from app.devices.routes import router as devices
from app.errors import add_error_handlers
from app.feeds.routes import router as feeds
from app.incidents.routes import router as incidents
from app.licences.routes import router as licences
from app.matching.profiles import publish_built_in
from app.matching.routes import router as matching
from app.migrate import refuse_unless_migrated
from app.pings.routes import router as pings
from app.prompt import be_prompt
from app.requests import RequestRecorder
from app.settings import Settings
from app.wake import listening
from app.wearers.routes import router as wearers

DESCRIPTION = """
Takes in position fixes of GPS tags and reported burglaries and robberies, and tells offender managers within seconds
when a person they manage was at one of these places at that time.

Every endpoint but liveness needs an API key: `Authorization: Bearer tm_…`.
"""


def create_app(settings: Settings, database_url: str) -> FastAPI:
    """Make the application on a migrated database (`app.postgres.database_url` gives its address)."""
    app = FastAPI(
        title="TrailMatch",
        version=version("trailmatch"),
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.settings = settings
    app.state.database_url = database_url
    app.state.streams = Streams()
    add_error_handlers(app)
    nouns = (
        pings,
        feeds,
        devices,
        wearers,
        licences,
        caseloads,
        accounts,
        activations,
        device_events,
        incidents,
        matching,
        alerts,
        review,
        delivery,
    )
    for router in (*nouns, health.router, docs.router):
        app.include_router(router)
    app.add_middleware(RequestRecorder)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        app.state.pool = await stack.enter_async_context(connect_pool(app.state.database_url))
        async with app.state.pool.acquire() as connection:
            await refuse_unless_migrated(connection)
            await publish_built_in(connection)
        app.state.hints = await stack.enter_async_context(listening(app.state.pool))
        app.state.outside = outside_of(app.state.settings)
        # In a process of its own: who matches and who reads bodies would else wait for each other's interpreter.
        app.state.matcher = None
        if app.state.settings.matcher:
            app.state.matcher = await stack.enter_async_context(running_beside(app.state.database_url))
        be_prompt()
        yield
