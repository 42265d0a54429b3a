"""The API's pings."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app import metrics
from app.access.keys import requires
from app.access.viewer import Viewer
from app.pages import After, Limit, link_next
from app.pings.body import read_body
from app.pings.checks import time_bounds
from app.pings.compute import compute
from app.pings.delivery import Delivery, Limits, read_delivery
from app.pings.examples import REQUEST_BODY
from app.pings.rejects import list_rejects
from app.pings.room import announced_bytes, room_of
from app.pings.schemas import PingError, PingReceipt, RejectedPage
from app.pings.store import Receipt
from app.pings.taking import refuse_others, take_delivery
from app.settings import Settings

router = APIRouter(prefix="/v1", tags=["pings"])

ERRORS_LISTED = 1_000
IGNORED_LISTED = 50

Writer = Annotated[Viewer, Depends(requires("pings:write"))]
Reader = Annotated[Viewer, Depends(requires("pings:read"))]


@router.post("/pings", openapi_extra={"requestBody": REQUEST_BODY})
async def post_pings(request: Request, viewer: Writer) -> PingReceipt:
    """Store a batch of pings; one bad row never refuses the others.

    The answer comes once the batch is on disk. Send a batch again whenever its answer was lost: what is stored
    already is counted as duplicates. 429 with `Retry-After` means that nothing of it was looked at.
    """
    refuse_others(viewer)
    settings: Settings = request.app.state.settings
    started = time.perf_counter()
    limits = Limits(settings.max_decoded_bytes, settings.max_rows)
    room = room_of(request)
    with room.taken(announced_bytes(request, settings.max_body_bytes)):
        body = await read_body(request, settings.max_body_bytes, settings.max_body_s)
        now_us = time.time_ns() // 1_000
        bounds = time_bounds(now_us, settings.ping_retention_days)
        async with room.decoding:
            delivery = await compute(len(body.content), read_delivery, body, limits, bounds)
        receipt = await take_delivery(request, viewer, delivery, now_us)
    metrics.INGEST_SECONDS.observe(time.perf_counter() - started)
    return _answer(delivery, receipt)


@router.get("/pings/rejected")
async def get_rejected(
    request: Request, response: Response, viewer: Reader, after: After = 0, limit: Limit = 100
) -> RejectedPage:
    """Give the rows of your organisation that were rejected and have not been accepted since, a page at a time.

    They are kept for 30 days. `trailmatch pings retry` sends them through the checks again.
    """
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        rejected = await list_rejects(connection, viewer, after, limit)
    last = rejected[-1].reject_id if rejected else after
    return RejectedPage(rejected=rejected, next=link_next(request, response, last, len(rejected), limit))


def _answer(delivery: Delivery, receipt: Receipt) -> PingReceipt:
    listed = sorted(delivery.ignored.items(), key=lambda item: (-item[1], item[0]))[:IGNORED_LISTED]
    return PingReceipt(
        **receipt._asdict(),
        errors=[PingError(**problem._asdict()) for problem in delivery.problems[:ERRORS_LISTED]],
        errors_omitted=max(0, len(delivery.problems) - ERRORS_LISTED),
        ignored_fields=dict(listed),
        ignored_fields_omitted=len(delivery.ignored) - len(listed),
    )
