"""Who calls the service in a replay: a tag contractor and a police force, each with a key of its own."""

from typing import NamedTuple

from app.access.party import Party, found
from app.db import Connection

CONTRACTOR, FORCE = "ReplayTags", "ReplayForce"
_PARTIES = (
    Party(
        CONTRACTOR,
        "contractor",
        frozenset({"pings:write", "devices:write", "devices:read", "wearers:write", "wearers:read"}),
    ),
    Party(
        FORCE,
        "force",
        frozenset(
            {"incidents:write", "incidents:read", "matches:read", "alerts:read", "alerts:decide", "metrics:read"}
        ),
    ),
)


class Keys(NamedTuple):
    """One API key each."""

    contractor: str
    force: str


async def found_parties(connection: Connection) -> Keys:
    """Make the organisations and a key for each."""
    return Keys(*[await found(connection, party, "replay") for party in _PARTIES])
