"""Who manages whom, as it is read by the organisation whose people they are."""

from app.access.viewer import Viewer
from app.audit.store import record
from app.caseloads.schemas import Caseload
from app.db import Connection

LIST = """
SELECT c.caseload_id, a.email, a.name, c.wearer_id, w.reference, c.from_at, c.to_at
FROM caseload c JOIN account a USING (account_id) JOIN wearer w USING (wearer_id)
WHERE a.organisation_id = $1 AND c.caseload_id > $2
    AND ($4::text IS NULL OR lower(a.email) = lower($4)) AND ($5::text IS NULL OR w.reference = $5)
ORDER BY c.caseload_id LIMIT $3
"""


async def list_caseloads(
    connection: Connection, viewer: Viewer, after: int, limit: int, email: str | None, reference: str | None
) -> tuple[list[Caseload], int]:
    """Give the entries of the viewer's own people in the order in which they were made, and the cursor after them."""
    rows = await connection.fetch(LIST, viewer.organisation_id, after, limit, email, reference)
    await record(connection, viewer, "caseloads.list", f"after={after}", {row["wearer_id"] for row in rows})
    caseloads = [
        Caseload(
            email=row["email"],
            name=row["name"],
            wearer_id=row["wearer_id"],
            wearer_reference=row["reference"],
            from_at=row["from_at"],
            to_at=row["to_at"],
        )
        for row in rows
    ]
    return caseloads, rows[-1]["caseload_id"] if rows else after
