"""The API's device events."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.access.keys import requires
from app.access.viewer import Viewer
from app.device_events.reading import Filter, list_device_events
from app.device_events.schemas import DeviceEventPage, DeviceEventReceipt, PostedDeviceEvent
from app.device_events.store import Outcome, store_device_events
from app.errors import NotAllowed
from app.fields import Instant
from app.pages import After, Limit, link_next
from app.rows import Rows, body_of, read_rows, refuse_single
from app.wake import send_hint

router = APIRouter(prefix="/v1", tags=["device events"])

Writer = Annotated[Viewer, Depends(requires("devices:write"))]
Reader = Annotated[Viewer, Depends(requires("devices:read"))]
OfDevice = Annotated[str | None, Query(description="The tag's serial.")]
From = Annotated[Instant | None, Query(alias="from", description="First instant of the events, RFC 3339.")]
To = Annotated[Instant | None, Query(alias="to", description="Last instant of the events, RFC 3339.")]


@router.post("/device-events", openapi_extra=body_of(PostedDeviceEvent))
async def post_device_events(request: Request, viewer: Writer) -> DeviceEventReceipt:
    """Store one event of a tag or many, and evaluate again whatever matches they bear on.

    Nothing sent is ever changed: a correction is a higher revision of the same `event_id`, and the highest counts.
    The same revision again is a duplicate, and an error if its content differs.
    """
    if viewer.kind not in {"contractor", "operator"}:
        raise NotAllowed(
            f"Device events come from tag contractors; {viewer.organisation} is a {viewer.kind} organisation."
        )
    rows = await read_rows(request, PostedDeviceEvent)
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            outcome = await store_device_events(connection, viewer, rows.good)
            refuse_single(rows, outcome.errors)
        if outcome.has_touched:
            await send_hint(connection, "due")
    return _receipt(rows, outcome)


@router.get("/device-events")
async def get_device_events(
    request: Request,
    response: Response,
    viewer: Reader,
    device_id: OfDevice = None,
    from_at: From = None,
    to_at: To = None,
    after: After = 0,
    limit: Limit = 100,
) -> DeviceEventPage:
    """Give your own tags' events, every revision as it was received, a page at a time."""
    wanted = Filter(device_id, from_at, to_at)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        events, last = await list_device_events(connection, viewer, after, limit, wanted)
    return DeviceEventPage(events=events, next=link_next(request, response, last, len(events), limit))


def _receipt(rows: Rows[PostedDeviceEvent], outcome: Outcome) -> DeviceEventReceipt:
    outcomes = [stored.outcome for stored in outcome.events]
    errors = sorted([*rows.errors, *outcome.errors], key=lambda error: error.line)
    return DeviceEventReceipt(
        stored=outcomes.count("stored"),
        duplicates=outcomes.count("duplicate"),
        rejected=len({error.line for error in errors}),
        events=outcome.events,
        errors=errors,
        ignored_fields=rows.ignored,
    )
