"""What people do with alerts, over HTTP: take up, assign, decide, and say what came of it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from app.access.keys import requires
from app.access.viewer import Viewer
from app.alerts.assignments import list_assignments, patch_alert
from app.alerts.decision_schemas import (
    AssignmentList,
    Decision,
    DecisionList,
    OutcomeList,
    OutcomeReceipt,
    PatchedAlert,
    PostedDecision,
    PostedOutcome,
    PutReason,
    Reason,
    ReasonList,
    SecondCheck,
)
from app.alerts.decisions import decide, list_decisions
from app.alerts.outcome_csv import CSV_EXAMPLE, read_outcome_csv
from app.alerts.outcomes import list_outcomes, record_outcome, record_outcomes
from app.alerts.reading import find_alert
from app.alerts.reasons import list_reasons, put_reason, set_second_check
from app.alerts.schemas import ReviewedAlert
from app.rows import RowError, read_body, read_record, record_body_of
from app.wake import send_hint

router = APIRouter(prefix="/v1", tags=["alerts"])

Reader = Annotated[Viewer, Depends(requires("alerts:read"))]
Decider = Annotated[Viewer, Depends(requires("alerts:decide"))]
Admin = Annotated[Viewer, Depends(requires("admin"))]
IfMatch = Annotated[str | None, Header(description="The ETag of the alert as it was looked at; required.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Of the caller's making: the same decision sent again under it gets the first one's answer.",
    ),
]
ReasonCode = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


@router.patch("/alerts/{alert_id}", openapi_extra=record_body_of(PatchedAlert))
async def patch(
    request: Request, response: Response, viewer: Decider, alert_id: UUID, if_match: IfMatch = None
) -> ReviewedAlert:
    """Take an alert up, or hand it to somebody; a new one is in review from then on."""
    patched = await read_record(request, PatchedAlert)
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            await patch_alert(connection, viewer, alert_id, patched, if_match)
            alert = await find_alert(connection, viewer, alert_id)
        await send_hint(connection, "outbox")
    response.headers["ETag"] = alert.etag
    return alert


@router.get("/alerts/{alert_id}/assignments")
async def get_assignments(request: Request, viewer: Reader, alert_id: UUID) -> AssignmentList:
    """Give everybody who was to look after an alert, the oldest first."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return AssignmentList(assignments=await list_assignments(connection, viewer, alert_id))


@router.post("/alerts/{alert_id}/decisions", status_code=201, openapi_extra=record_body_of(PostedDecision))
async def post_decision(
    request: Request,
    response: Response,
    viewer: Decider,
    alert_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Decision:
    """Decide on an alert as it was looked at; 412 with what has changed if it is not so any more."""
    posted = await read_record(request, PostedDecision)
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            made = await decide(connection, viewer, alert_id, posted, if_match, idempotency_key)
        await send_hint(connection, "outbox")
    response.headers["ETag"] = made.etag
    return made.decision


@router.get("/alerts/{alert_id}/decisions")
async def get_decisions(request: Request, viewer: Reader, alert_id: UUID) -> DecisionList:
    """Give all decisions on an alert, the oldest first."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return DecisionList(decisions=await list_decisions(connection, viewer, alert_id))


@router.post("/alerts/{alert_id}/outcomes", openapi_extra=record_body_of(PostedOutcome))
async def post_outcome(request: Request, viewer: Decider, alert_id: UUID) -> OutcomeList:
    """Record what came of an alert that was passed to the police, once however often it is sent; gives all of them."""
    posted = await read_record(request, PostedOutcome)
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            outcomes = await record_outcome(connection, viewer, alert_id, posted)
        await send_hint(connection, "outbox")
    return OutcomeList(outcomes=outcomes)


@router.get("/alerts/{alert_id}/outcomes")
async def get_outcomes(request: Request, viewer: Reader, alert_id: UUID) -> OutcomeList:
    """Give all outcomes of an alert, in the order in which they were recorded."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return OutcomeList(outcomes=await list_outcomes(connection, viewer, alert_id))


@router.post(
    "/alert-outcomes",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"text/csv": {"schema": {"type": "string"}, "example": CSV_EXAMPLE}},
        }
    },
)
async def post_outcomes(request: Request, viewer: Decider) -> OutcomeReceipt:
    """Record outcomes of many alerts from a CSV file; every bad row is named by line, and refuses none of the others.

    An alert goes by its number or its id. What was recorded before is left as it is.
    """
    rows = read_outcome_csv(await read_body(request, media_type="text/csv"))
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            results = [recorded.result for recorded in await record_outcomes(connection, viewer, rows.good)]
        await send_hint(connection, "outbox")
    errors = [*rows.errors, *(result for result in results if isinstance(result, RowError))]
    return OutcomeReceipt(
        recorded=results.count("recorded"),
        unchanged=results.count("unchanged"),
        rejected=len({error.line for error in errors}),
        errors=sorted(errors, key=lambda error: error.line),
    )


@router.get("/decision-reasons")
async def get_reasons(request: Request, _viewer: Reader) -> ReasonList:
    """Give the reasons for decisions, those that are not in use any more as well."""
    async with request.app.state.pool.acquire() as connection:
        return ReasonList(reasons=await list_reasons(connection))


@router.put("/decision-reasons/{code}", openapi_extra=record_body_of(PutReason))
async def put_decision_reason(request: Request, viewer: Admin, code: ReasonCode) -> Reason:
    """Add a reason, or take one in or out of use; the words of one that is there do not change.

    The list is one for all organisations, so this takes a key of the operator's.
    """
    put = await read_record(request, PutReason)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return await put_reason(connection, viewer, code, put)


@router.put("/second-check", openapi_extra=record_body_of(SecondCheck))
async def put_second_check(request: Request, viewer: Admin) -> SecondCheck:
    """Say whether the caller's organisation asks for a second check before its cases are passed to the police."""
    put = await read_record(request, SecondCheck)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await set_second_check(connection, viewer, is_asked=put.is_asked)
    return put
