"""Organisations: tag contractors, forces, probation regions, and the operator."""

from app.db import Connection

KINDS = ("contractor", "force", "probation", "operator")

FIND = "SELECT organisation_id, kind FROM organisation WHERE code = $1"
INSERT = """
INSERT INTO organisation (code, name, kind) VALUES ($1, $2, $3)
ON CONFLICT (code) DO NOTHING RETURNING organisation_id
"""


async def find_or_create_organisation(connection: Connection, code: str, kind: str | None, name: str | None) -> int:
    """Give the organisation with this code, making it if there is none.

    Raises ValueError if it has to be made and `kind` is missing, or if it is there with another kind.
    """
    row = await connection.fetchrow(FIND, code)
    if row is None:
        if kind is None:
            raise ValueError(f"there is no organisation {code!r}; give its kind to make it: {', '.join(KINDS)}")
        made = await connection.fetchval(INSERT, code, name or code, kind)
        return int(made)
    if kind is not None and kind != row["kind"]:
        raise ValueError(f"the organisation {code!r} is a {row['kind']}, not a {kind}")
    return int(row["organisation_id"])
