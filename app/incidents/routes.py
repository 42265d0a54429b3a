"""The API's incidents."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.access.keys import requires
from app.access.viewer import Viewer
from app.incidents.reading import find_incident, list_incidents
from app.incidents.schemas import IncidentHistory, IncidentPage, IncidentReceipt, PostedIncident
from app.incidents.store import Outcome, store_incidents
from app.incidents.wearer_schemas import Verdict, WearerVerdictPage
from app.incidents.wearers import weigh_wearers
from app.pages import After, Limit, link_next
from app.rows import Rows, body_of, read_rows, refuse_single
from app.wake import send_hint

router = APIRouter(prefix="/v1", tags=["incidents"])

Writer = Annotated[Viewer, Depends(requires("incidents:write"))]
Reader = Annotated[Viewer, Depends(requires("incidents:read"))]
MatchReader = Annotated[Viewer, Depends(requires("matches:read"))]

# Lies before every id there is.
_FIRST = UUID(int=0)


@router.post("/incidents", openapi_extra=body_of(PostedIncident), responses={201: {"model": IncidentReceipt}})
async def post_incidents(request: Request, response: Response, viewer: Writer) -> IncidentReceipt:
    """Store one incident or many: new ones, and amendments of those posted before under the same reference.

    A record that differs becomes a new version, one that does not says `unchanged`. One bad row never refuses the
    others. 201 if the body is one incident and that is new, else 200.
    """
    rows = await read_rows(request, PostedIncident)
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            outcome = await store_incidents(connection, viewer, rows.good, request.app.state.settings.default_profile)
            refuse_single(rows, outcome.errors)
        await send_hint(connection, "incidents")
    receipt = _receipt(rows, outcome)
    if rows.is_single and receipt.created:
        response.status_code = 201
    return receipt


@router.get("/incidents")
async def get_incidents(
    request: Request,
    response: Response,
    viewer: Reader,
    force: str | None = None,
    reference: str | None = None,
    after: After = 0,
    limit: Limit = 100,
) -> IncidentPage:
    """Give the incidents that the caller may see, in the order in which they were first reported, a page at a time."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        incidents, last = await list_incidents(connection, viewer, after, limit, force, reference)
    return IncidentPage(incidents=incidents, next=link_next(request, response, last, len(incidents), limit))


@router.get("/incidents/{incident_id}")
async def get_incident(request: Request, viewer: Reader, incident_id: UUID) -> IncidentHistory:
    """Give one incident in all its versions."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return await find_incident(connection, viewer, incident_id)


@router.get("/incidents/{incident_id}/wearers")
async def get_wearers(
    request: Request,
    response: Response,
    viewer: MatchReader,
    incident_id: UUID,
    verdict: Annotated[Verdict | None, Query(description="Only wearers of whom this is said.")] = None,
    after: Annotated[UUID, Query(description="Cursor: look at the wearers after this one.")] = _FIRST,
    limit: Annotated[int, Query(ge=1, le=500, description="How many wearers to look at.")] = 100,
) -> WearerVerdictPage:
    """Give the verdict on every wearer who could matter, a page at a time: who was there, and who cannot have been.

    Those with a tag on in the hours that the window, with its padding, touches, and in these hours a position within
    50 km, or none. They are weighed now, by the incident's latest version. A page looks at `limit` wearers and gives
    those with the verdict asked for.
    """
    async with request.app.state.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        page = await weigh_wearers(connection, viewer, incident_id, after, limit, verdict)
    return WearerVerdictPage(wearers=page.wearers, next=link_next(request, response, page.last, page.looked_at, limit))


def _receipt(rows: Rows[PostedIncident], outcome: Outcome) -> IncidentReceipt:
    outcomes = [stored.outcome for stored in outcome.incidents]
    errors = sorted([*rows.errors, *outcome.errors], key=lambda error: error.line)
    return IncidentReceipt(
        created=outcomes.count("created"),
        amended=outcomes.count("amended"),
        unchanged=outcomes.count("unchanged"),
        rejected=len({error.line for error in errors}),
        incidents=outcome.incidents,
        errors=errors,
        ignored_fields=rows.ignored,
    )
