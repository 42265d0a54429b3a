"""Who takes part in the demo: a tag contractor, a police force, a probation region; each with a key of its own."""

from typing import NamedTuple

from app.access.party import Party, found
from app.db import Connection

CONTRACTOR, FORCE, PROBATION = "TagWorks", "Marramstow", "WashProbation"
_PARTIES = (
    Party(
        CONTRACTOR,
        "contractor",
        frozenset({"pings:write", "pings:read", "devices:write", "devices:read", "wearers:write", "wearers:read"}),
        "TagWorks Monitoring (invented)",
    ),
    Party(
        FORCE,
        "force",
        frozenset({"incidents:write", "incidents:read", "wearers:read", "matches:read", "alerts:read", "metrics:read"}),
        "Marramstow Constabulary (invented)",
    ),
    Party(
        PROBATION,
        "probation",
        frozenset({"wearers:read", "matches:read", "alerts:read"}),
        "Wash Probation Region (invented)",
    ),
)


class Keys(NamedTuple):
    """One API key each; never stored, gone with the process."""

    contractor: str
    force: str
    probation: str


async def found_parties(connection: Connection) -> Keys:
    """Make the organisations, and a new key for each."""
    return Keys(*[await found(connection, party, "demo") for party in _PARTIES])
