"""An organisation that calls the service for the demo or a benchmark, and the key that it calls with."""

from typing import NamedTuple

from app.access.keys import create_key
from app.access.organisations import find_or_create_organisation
from app.db import Connection


class Party(NamedTuple):
    """Who it is, and what its key may do."""

    code: str
    kind: str
    scopes: frozenset[str]
    name: str | None = None


async def found(connection: Connection, party: Party, label: str) -> str:
    """Make the organisation, if it is not there, and a new key for it; gives the key, which is stored nowhere."""
    organisation_id = await find_or_create_organisation(connection, party.code, party.kind, party.name)
    return await create_key(connection, organisation_id, set(party.scopes), label)
