"""Pages of a list: a cursor that means the same row for ever, and the `Link` header that leads on."""

from typing import Annotated, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Query, Request, Response

MAX_LIMIT = 1_000

After = Annotated[int, Query(ge=0, lt=2**63, description="Cursor: give what comes after it; 0 is the beginning.")]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows on a page.")]


Cursor = TypeVar("Cursor", int, UUID)


def link_next(request: Request, response: Response, after: Cursor, rows: int, limit: int) -> Cursor | None:
    """Set `Link: <…>; rel="next"` if the page is full, and return the cursor for it, else None."""
    if rows < limit:
        return None
    query = urlencode({**request.query_params, "after": after})
    response.headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    return after
