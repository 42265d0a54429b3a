"""The API's accounts: the people of an organisation."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from app.access.keys import requires
from app.access.viewer import Viewer
from app.accounts.schemas import AccountReceipt, PostedAccount
from app.accounts.store import Outcome, store_accounts
from app.errors import NotAllowed
from app.rows import Rows, body_of, read_rows, refuse_single

router = APIRouter(prefix="/v1", tags=["accounts"])

Writer = Annotated[Viewer, Depends(requires("admin"))]


@router.post("/accounts", openapi_extra=body_of(PostedAccount))
async def post_accounts(request: Request, viewer: Writer) -> AccountReceipt:
    """Store one account of your own organisation or many; one that was posted before is replaced."""
    if viewer.kind == "contractor":
        raise NotAllowed("A tag contractor's people have no accounts here.")
    rows = await read_rows(request, PostedAccount)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        outcome = await store_accounts(connection, viewer, rows.good)
        refuse_single(rows, outcome.errors)
    return _receipt(rows, outcome)


def _receipt(rows: Rows[PostedAccount], outcome: Outcome) -> AccountReceipt:
    outcomes = [stored.outcome for stored in outcome.accounts]
    errors = sorted([*rows.errors, *outcome.errors], key=lambda error: error.line)
    return AccountReceipt(
        created=outcomes.count("created"),
        updated=outcomes.count("updated"),
        unchanged=outcomes.count("unchanged"),
        rejected=len({error.line for error in errors}),
        accounts=outcome.accounts,
        errors=errors,
        ignored_fields=rows.ignored,
    )
