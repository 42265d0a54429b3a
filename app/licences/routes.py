"""The API's licences."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from app.access.keys import requires
from app.access.viewer import Viewer
from app.licences.reading import find_wearer_licences
from app.licences.schemas import LicenceReceipt, PostedLicence, WearerLicences
from app.licences.store import Outcome, store_licences
from app.rows import Rows, body_of, read_rows, refuse_single
from app.wake import send_hint

router = APIRouter(prefix="/v1", tags=["licences"])

Writer = Annotated[Viewer, Depends(requires("wearers:write"))]
Reader = Annotated[Viewer, Depends(requires("wearers:read"))]
OfWearer = Annotated[str, Query(description="What the wearer is known by.")]


@router.post("/licences", openapi_extra=body_of(PostedLicence))
async def post_licences(request: Request, viewer: Writer) -> LicenceReceipt:
    """Store one licence or many, of wearers whom your organisation registered or manages.

    Nothing sent is ever changed: a correction is a higher revision of the same `licence_id`, and the highest counts.
    The same revision again is a duplicate, and an error if its content differs. Licences may overlap, and are taken
    together. Matches whose evidence that bears on are evaluated again; one outside the licence is shown as such, not
    suppressed.
    """
    rows = await read_rows(request, PostedLicence)
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            outcome = await store_licences(connection, viewer, rows.good)
            refuse_single(rows, outcome.errors)
        if outcome.has_touched:
            await send_hint(connection, "due")
    return _receipt(rows, outcome)


@router.get("/licences")
async def get_licences(request: Request, viewer: Reader, wearer_reference: OfWearer) -> WearerLicences:
    """Give a wearer's licences: every revision as it was received, and from them when they are on licence."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return await find_wearer_licences(connection, viewer, wearer_reference)


def _receipt(rows: Rows[PostedLicence], outcome: Outcome) -> LicenceReceipt:
    outcomes = [stored.outcome for stored in outcome.licences]
    errors = sorted([*rows.errors, *outcome.errors], key=lambda error: error.line)
    return LicenceReceipt(
        stored=outcomes.count("stored"),
        duplicates=outcomes.count("duplicate"),
        rejected=len({error.line for error in errors}),
        licences=outcome.licences,
        errors=errors,
        ignored_fields=rows.ignored,
    )
