"""Organisations: tag contractors, forces, probation regions, and the operator."""

import re

from app.db import Connection

KINDS = ("contractor", "force", "probation", "operator")
# As the table checks it.
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)

FIND = "SELECT organisation_id, kind FROM organisation WHERE code = $1"
INSERT = "INSERT INTO organisation (code, name, kind) VALUES ($1, $2, $3) ON CONFLICT (code) DO NOTHING"


async def find_or_create_organisation(connection: Connection, code: str, kind: str | None, name: str | None) -> int:
    """Give the organisation with this code, making it if there is none.

    Raises ValueError if it has to be made and its code or kind is missing or no good, or if it is there with another
    kind.
    """
    row = await connection.fetchrow(FIND, code)
    if row is None:
        _check(code, kind)
        await connection.execute(INSERT, code, name or code, kind)
        # Read and not RETURNING: another caller may have made it in between.
        row = await connection.fetchrow(FIND, code)
        assert row is not None
    if kind is not None and kind != row["kind"]:
        raise ValueError(f"the organisation {code!r} is a {row['kind']}, not a {kind}")
    return int(row["organisation_id"])


def _check(code: str, kind: str | None) -> None:
    if _CODE.fullmatch(code) is None:
        raise ValueError(f"{code!r} is no code of an organisation: 1 to 64 letters, digits, '-', '_' and '.'")
    if kind is None:
        raise ValueError(f"there is no organisation {code!r}; give its kind to make it: {', '.join(KINDS)}")
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of organisation; known: {', '.join(KINDS)}")
