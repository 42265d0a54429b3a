"""Who takes part in the demo: a tag contractor, a police force, a probation region; each with a key of its own."""

from typing import NamedTuple

from app.access.keys import create_key
from app.access.organisations import find_or_create_organisation
from app.db import Connection

CONTRACTOR, FORCE, PROBATION = "TagWorks", "Marramstow", "WashProbation"
_NAMES = {
    CONTRACTOR: ("contractor", "TagWorks Monitoring (invented)"),
    FORCE: ("force", "Marramstow Constabulary (invented)"),
    PROBATION: ("probation", "Wash Probation Region (invented)"),
}
_SCOPES = {
    CONTRACTOR: {"pings:write", "pings:read", "devices:write", "devices:read", "wearers:write", "wearers:read"},
    FORCE: {"incidents:write", "incidents:read", "wearers:read", "matches:read", "alerts:read", "metrics:read"},
    PROBATION: {"wearers:read", "matches:read", "alerts:read"},
}


class Keys(NamedTuple):
    """One API key each; never stored, gone with the process."""

    contractor: str
    force: str
    probation: str


async def found_parties(connection: Connection) -> Keys:
    """Make the organisations, and a new key for each."""
    keys = list[str]()
    for code in (CONTRACTOR, FORCE, PROBATION):
        kind, name = _NAMES[code]
        organisation_id = await find_or_create_organisation(connection, code, kind, name)
        keys.append(await create_key(connection, organisation_id, _SCOPES[code], "demo"))
    return Keys(*keys)
