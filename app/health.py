"""What operators and their machines ask: is it alive, is it ready, what is it, how much waits."""

import platform
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app import metrics
from app.access.keys import requires
from app.access.viewer import Viewer
from app.delivery.waiting import measure_waiting
from app.inbox import Inbox, count_inbox
from app.migrate import pending
from matcher.evidence import ALGORITHM

router = APIRouter(tags=["health"])

AnyKey = Annotated[Viewer, Depends(requires(None))]

LIVENESS_EXAMPLE = {"status": "alive"}
READINESS_EXAMPLE = {
    "status": "ready",
    "database": "reachable",
    "migrations": "applied",
    "matcher": {
        "state": "warm",
        "batches": 0,
        "arrivals": 0,
        "rejoins": 0,
        "due": 2,
        "undispatched": 0,
        "oldest_s": 0.04,
    },
}
INFO_EXAMPLE = {
    "version": "0.1.0",
    "algorithm": "evidence-3",
    "python": "3.11.2",
    "numba": "0.63.1",
    "numpy": "2.3.4",
    "machine": "x86_64",
    "postgresql": "18.4",
    "profiles": [{"name": "standard", "version": 1, "sha256": "9f86d081884c7d65…"}],
}


def _example(example: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": example}}}


@router.get("/health/liveness", responses={200: _example(LIVENESS_EXAMPLE, "The process answers")})
async def liveness() -> dict[str, str]:
    """Say that the process answers; asks nothing of the database, and no key of the caller."""
    return LIVENESS_EXAMPLE


@router.get(
    "/health/readiness",
    responses={
        200: _example(READINESS_EXAMPLE, "Ready"),
        503: _example(READINESS_EXAMPLE | {"status": "not ready", "migrations": "pending"}, "Not ready"),
    },
)
async def readiness(request: Request, _viewer: AnyKey) -> JSONResponse:
    """Say whether requests can be served: migrations applied, matcher warm. How much waits never makes it unready.

    Nor does a matcher that ended by itself and is started again: what comes meanwhile is stored, and waits.
    A database that does not answer is a 503 too, as a problem document, since the key cannot be checked without it.
    """
    async with request.app.state.pool.acquire() as connection:
        waiting_migrations = await pending(connection)
        # The inbox's tables may be among what is pending.
        inbox = None if waiting_migrations else await count_inbox(connection)
    matcher = request.app.state.matcher
    state = "off" if matcher is None else matcher.state
    is_ready = not waiting_migrations and state != "starting"
    body = {
        "status": "ready" if is_ready else "not ready",
        "database": "reachable",
        "migrations": "pending" if waiting_migrations else "applied",
        "matcher": {"state": state, **(_counted(inbox) if inbox else {})},
    }
    return JSONResponse(body, 200 if is_ready else 503)


@router.get("/info", responses={200: _example(INFO_EXAMPLE, "What runs here")})
async def info(request: Request, _viewer: AnyKey) -> dict[str, Any]:
    """Say what runs here: versions of the program, of what its answers depend on, and of the profiles."""
    async with request.app.state.pool.acquire() as connection:
        profiles = await connection.fetch(NEWEST_PROFILES)
        server = connection.get_server_version()
    return {
        "version": version("trailmatch"),
        "algorithm": ALGORITHM,
        "python": platform.python_version(),
        "numba": version("numba"),
        "numpy": version("numpy"),
        "machine": platform.machine(),
        "postgresql": f"{server.major}.{server.minor}",
        "profiles": [dict(profile) for profile in profiles],
    }


NEWEST_PROFILES = """
SELECT DISTINCT ON (name) name, version, encode(settings_sha256, 'hex') AS sha256 FROM profile
ORDER BY name, version DESC
"""


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}, "description": "Prometheus"}}
)
async def prometheus(request: Request, _viewer: Annotated[Viewer, Depends(requires("metrics:read"))]) -> Response:
    """Give every metric as Prometheus text, those of the matcher beside this service too; what waits is counted now."""
    async with request.app.state.pool.acquire() as connection:
        inbox = await count_inbox(connection)
        await measure_waiting(connection)
    for kind, waiting in inbox._asdict().items():
        metrics.INBOX.labels(kind).set(waiting.n)
        metrics.INBOX_AGE.labels(kind).set(waiting.oldest_s)
    matcher = request.app.state.matcher
    of_workers = generate_latest(metrics.OF_WORKERS) if matcher is None else await matcher.metrics()
    return Response(generate_latest() + of_workers, media_type=CONTENT_TYPE_LATEST)


def _counted(inbox: Inbox) -> dict[str, float]:
    return {kind: waiting.n for kind, waiting in inbox._asdict().items()} | {"oldest_s": inbox.oldest_s}
