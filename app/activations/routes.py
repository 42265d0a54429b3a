"""The API's fittings of tags to people."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from app.access.keys import requires
from app.access.viewer import Viewer
from app.activations.reading import find_device_activations
from app.activations.schemas import ActivationReceipt, DeviceActivations, OverlapReport, PostedActivation
from app.activations.store import Outcome, store_activations
from app.errors import NotAllowed
from app.rows import Rows, body_of, read_rows, refuse_single
from app.wake import send_hint

router = APIRouter(prefix="/v1", tags=["activations"])

Writer = Annotated[Viewer, Depends(requires("devices:write"))]
Reader = Annotated[Viewer, Depends(requires("devices:read"))]


@router.post("/activations", openapi_extra=body_of(PostedActivation))
async def post_activations(request: Request, viewer: Writer) -> ActivationReceipt:
    """Store one fitting or many, and match again whatever has another wearer now.

    Nothing sent is ever changed: a correction is a higher revision of the same `activation_id`, and the highest counts.
    The same revision again is a duplicate, and an error if its content differs. Fittings that contradict each other are
    reported, never refused.
    """
    if viewer.kind not in {"contractor", "operator"}:
        raise NotAllowed(f"Fittings come from tag contractors; {viewer.organisation} is a {viewer.kind} organisation.")
    rows = await read_rows(request, PostedActivation)
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            outcome = await store_activations(connection, viewer, rows.good)
            refuse_single(rows, outcome.errors)
        if outcome.has_handovers:
            await send_hint(connection, "rejoin")
            await send_hint(connection, "due")
    return _receipt(rows, outcome)


@router.get("/activations")
async def get_activations(
    request: Request, viewer: Reader, device_id: Annotated[str, Query(description="The tag's serial.")]
) -> DeviceActivations:
    """Give a tag's fittings: every revision as it was received, and from them who wore it when."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return await find_device_activations(connection, viewer, device_id)


def _receipt(rows: Rows[PostedActivation], outcome: Outcome) -> ActivationReceipt:
    outcomes = [stored.outcome for stored in outcome.activations]
    errors = sorted([*rows.errors, *outcome.errors], key=lambda error: error.line)
    return ActivationReceipt(
        stored=outcomes.count("stored"),
        duplicates=outcomes.count("duplicate"),
        rejected=len({error.line for error in errors}),
        activations=outcome.activations,
        overlaps=[
            OverlapReport(
                device_id=outcome.serials[overlap.device_id],
                activation_id=overlap.activation_ref,
                revision=overlap.revision,
                stated_removed_at=overlap.stated_to_at,
                cut_at=overlap.cut_at,
                cut_by=overlap.cut_by,
            )
            for overlap in outcome.overlaps
        ],
        errors=errors,
        ignored_fields=rows.ignored,
    )
