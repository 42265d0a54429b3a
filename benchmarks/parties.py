"""Who calls the service in a replay: a tag contractor and a police force, each with a key of its own."""

from typing import NamedTuple

from app.access.keys import create_key
from app.access.organisations import find_or_create_organisation
from app.db import Connection

CONTRACTOR, FORCE = "ReplayTags", "ReplayForce"
_SCOPES = {
    CONTRACTOR: {"pings:write", "devices:write", "devices:read", "wearers:write", "wearers:read"},
    FORCE: {"incidents:write", "incidents:read", "matches:read", "alerts:read", "metrics:read"},
}


class Keys(NamedTuple):
    """One API key each."""

    contractor: str
    force: str


async def found_parties(connection: Connection) -> Keys:
    """Make the organisations and a key for each."""
    keys = list[str]()
    for code, kind in ((CONTRACTOR, "contractor"), (FORCE, "force")):
        organisation_id = await find_or_create_organisation(connection, code, kind, None)
        keys.append(await create_key(connection, organisation_id, _SCOPES[code], "replay"))
    return Keys(*keys)
