"""Alerts over HTTP: lists, one alert, and the live stream."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.access.keys import is_still_valid, requires
from app.access.viewer import Viewer
from app.alerts.reading import find_alert, list_alerts, list_revisions
from app.alerts.schemas import AlertPage, ReviewedAlert, RevisionPage
from app.alerts.stream import Streams, find_last_position, read_stream, refuse_unknown_position
from app.db import Pool
from app.errors import Busy
from app.pages import After, Limit, link_next
from app.wake import Hints

router = APIRouter(prefix="/v1", tags=["alerts"])

Reader = Annotated[Viewer, Depends(requires("alerts:read"))]
State = Literal["new", "in_review", "awaiting_second_check", "decided", "withdrawn"]

# Also how soon a stream notices that its key was revoked, and how often proxies see a sign of life.
HEARTBEAT_S = 15.0
EVENTS_A_READ = 100


@router.get("/alerts")
async def get_alerts(
    request: Request,
    response: Response,
    viewer: Reader,
    after: After = 0,
    limit: Limit = 100,
    state: State | None = None,
) -> AlertPage:
    """Give the alerts that the caller may see, in the order in which they were raised, a page at a time."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        alerts, last = await list_alerts(connection, viewer, after, limit, state)
    return AlertPage(alerts=alerts, next=link_next(request, response, last, len(alerts), limit))


@router.get(
    "/alerts/stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `id` is the stream position, `event` is `alert.` and what happened "
            "(raised, revised, withdrawn, reopened, taken_up, assigned, decided, outcome, escalated), `data` is the "
            "alert as JSON. Reconnect with `Last-Event-ID` and nothing is missed.",
            "content": {
                "text/event-stream": {
                    "example": 'id: 41\nevent: alert.raised\ndata: {"number":"A-3F0QZ1XW","state":"new"}\n\n'
                }
            },
        },
        409: {"description": "The stream has not come to this position: the database was restored from an older copy"},
        429: {"description": "More streams are open than there is room for"},
    },
)
async def stream_alerts(
    request: Request,
    viewer: Reader,
    after: Annotated[
        int | None,
        Query(ge=0, description="Begin after this position; 0 gives everything. Without it: what comes now."),
    ] = None,
    last_event_id: Annotated[
        int | None, Header(ge=0, description="As `after`; sent by clients that reconnect.")
    ] = None,
) -> StreamingResponse:
    """Give every revision of the alerts that the caller may see, and what people do with them, as it is dispatched."""
    state = request.app.state
    pool: Pool = state.pool
    if state.streams.n >= state.settings.max_streams:
        raise Busy("More alert streams are open than there is room for. Come again, or read GET /v1/alerts meanwhile.")
    position = last_event_id if last_event_id is not None else after
    async with pool.acquire() as connection:
        if position is None:
            position = await find_last_position(connection)
        else:
            await refuse_unknown_position(connection, position)
    return StreamingResponse(
        _events(pool, state.hints, state.streams, viewer, position),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/alerts/{alert_id}")
async def get_alert(request: Request, response: Response, viewer: Reader, alert_id: UUID) -> ReviewedAlert:
    """Give one alert as it stands; send its ETag as If-Match with whatever you do with it."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        alert = await find_alert(connection, viewer, alert_id)
    response.headers["ETag"] = alert.etag
    return alert


@router.get("/alerts/{alert_id}/revisions")
async def get_revisions(
    request: Request, response: Response, viewer: Reader, alert_id: UUID, after: After = 0, limit: Limit = 100
) -> RevisionPage:
    """Give what the matcher has said of an alert over time, the oldest first, a page at a time."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        revisions = await list_revisions(connection, viewer, alert_id, after, limit)
    last = revisions[-1].revision if revisions else after
    return RevisionPage(revisions=revisions, next=link_next(request, response, last, len(revisions), limit))


async def _events(pool: Pool, hints: Hints, streams: Streams, viewer: Viewer, position: int) -> AsyncIterator[str]:
    """Write events as they come. No connection is held while a client reads, so a slow one holds nobody up.

    A page is read when the one before has been taken, so what waits for a stuck client does not grow; `app.listening`
    says when it is given up.
    """
    with streams.counted(), hints.bell("stream") as bell:
        yield ": open\n\n"
        while True:
            async with pool.acquire() as connection, connection.transaction():
                if not await is_still_valid(connection, viewer):
                    return
                events, read_to = await read_stream(connection, viewer, position, EVENTS_A_READ)
            for place, alert in events:
                yield f"id: {place}\nevent: alert.{alert.kind}\ndata: {alert.model_dump_json()}\n\n"
            is_full, position = len(events) == EVENTS_A_READ, read_to
            if not is_full and not await bell.wait(HEARTBEAT_S):
                yield ": still here\n\n"
