"""Who is asking: what every read is scoped by and every audit event names."""

from typing import NamedTuple

SCOPES = frozenset(
    {
        *(f"{noun}:{verb}" for noun in ("pings", "devices", "wearers", "incidents") for verb in ("read", "write")),
        "matches:read",
        "trails:read",
        "alerts:read",
        "alerts:decide",
        "search:run",
        "audit:read",
        "metrics:read",
        "admin",
    }
)


class Viewer(NamedTuple):
    """A key or a person, for one organisation, in one request."""

    organisation_id: int
    organisation: str  # its code
    kind: str  # contractor, force, probation or operator
    scopes: frozenset[str]
    api_key_id: int | None = None
    account_id: int | None = None
    request_id: str | None = None
