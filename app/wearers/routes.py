"""The API's wearers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.access.keys import requires
from app.access.viewer import Viewer
from app.pages import Limit, link_next
from app.rows import Rows, body_of, read_rows, refuse_single
from app.wearers.reading import find_wearer, list_wearers
from app.wearers.schemas import PostedWearer, WearerPage, WearerReceipt, WearerRecord
from app.wearers.store import Outcome, store_wearers

router = APIRouter(prefix="/v1", tags=["wearers"])

Writer = Annotated[Viewer, Depends(requires("wearers:write"))]
Reader = Annotated[Viewer, Depends(requires("wearers:read"))]
AfterWearer = Annotated[UUID | None, Query(description="Cursor: give what comes after it; absent is the beginning.")]


@router.post("/wearers", openapi_extra=body_of(PostedWearer))
async def post_wearers(request: Request, viewer: Writer) -> WearerReceipt:
    """Store one wearer or many; one that was posted before is replaced, by whoever registered them first."""
    rows = await read_rows(request, PostedWearer)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        outcome = await store_wearers(connection, viewer, rows.good)
        refuse_single(rows, outcome.errors)
    return _receipt(rows, outcome)


@router.get("/wearers")
async def get_wearers(
    request: Request, response: Response, viewer: Reader, after: AfterWearer = None, limit: Limit = 100
) -> WearerPage:
    """Give the wearers that the caller registered or manages, a page at a time."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        wearers = await list_wearers(connection, viewer, after, limit)
    following = link_next(request, response, wearers[-1].wearer_id, len(wearers), limit) if wearers else None
    return WearerPage(wearers=wearers, next=following)


@router.get("/wearers/{wearer_id}")
async def get_wearer(request: Request, viewer: Reader, wearer_id: UUID) -> WearerRecord:
    """Give one wearer, which tags they wore when, and when they are on licence."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return await find_wearer(connection, viewer, wearer_id)


def _receipt(rows: Rows[PostedWearer], outcome: Outcome) -> WearerReceipt:
    outcomes = [stored.outcome for stored in outcome.wearers]
    errors = sorted([*rows.errors, *outcome.errors], key=lambda error: error.line)
    return WearerReceipt(
        created=outcomes.count("created"),
        updated=outcomes.count("updated"),
        unchanged=outcomes.count("unchanged"),
        rejected=len({error.line for error in errors}),
        wearers=outcome.wearers,
        errors=errors,
        ignored_fields=rows.ignored,
    )
