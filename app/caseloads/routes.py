"""The API's caseloads."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.access.keys import requires
from app.access.viewer import Viewer
from app.caseloads.reading import list_caseloads
from app.caseloads.schemas import CaseloadPage, CaseloadReceipt, PostedCaseload
from app.caseloads.store import Outcome, store_caseloads
from app.errors import NotAllowed
from app.pages import After, Limit, link_next
from app.rows import Rows, body_of, read_rows, refuse_single

router = APIRouter(prefix="/v1", tags=["caseloads"])

Writer = Annotated[Viewer, Depends(requires("wearers:write"))]
Reader = Annotated[Viewer, Depends(requires("wearers:read"))]
OfAccount = Annotated[str | None, Query(description="The manager's e-mail address.")]
OfWearer = Annotated[str | None, Query(description="The wearer's reference.")]


@router.post("/caseloads", openapi_extra=body_of(PostedCaseload))
async def post_caseloads(request: Request, viewer: Writer) -> CaseloadReceipt:
    """Say who of your own people manages which wearer, from when to when; one entry or many.

    An entry is known by account, wearer and `from`; posted again with another `to`, it ends then, or goes on. None is
    deleted. It needs no `admin`: whoever may say which wearers an organisation has may say who manages them. People are
    made by `POST /v1/accounts` only.
    """
    if viewer.kind not in {"force", "probation"}:
        raise NotAllowed(f"Forces and probation regions manage people; {viewer.organisation} is a {viewer.kind}.")
    rows = await read_rows(request, PostedCaseload)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        outcome = await store_caseloads(connection, viewer, rows.good)
        refuse_single(rows, outcome.errors)
    return _receipt(rows, outcome)


@router.get("/caseloads")
async def get_caseloads(
    request: Request,
    response: Response,
    viewer: Reader,
    email: OfAccount = None,
    wearer_reference: OfWearer = None,
    after: After = 0,
    limit: Limit = 100,
) -> CaseloadPage:
    """Give which of your own people manages which wearer, and did, a page at a time."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        caseloads, last = await list_caseloads(connection, viewer, after, limit, email, wearer_reference)
    return CaseloadPage(caseloads=caseloads, next=link_next(request, response, last, len(caseloads), limit))


def _receipt(rows: Rows[PostedCaseload], outcome: Outcome) -> CaseloadReceipt:
    outcomes = [stored.outcome for stored in outcome.caseloads]
    errors = sorted([*rows.errors, *outcome.errors], key=lambda error: error.line)
    return CaseloadReceipt(
        created=outcomes.count("created"),
        updated=outcomes.count("updated"),
        unchanged=outcomes.count("unchanged"),
        rejected=len({error.line for error in errors}),
        caseloads=outcome.caseloads,
        errors=errors,
        ignored_fields=rows.ignored,
    )
