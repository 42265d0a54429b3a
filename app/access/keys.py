"""API keys: made once, shown once, stored as a hash, and asked for by every endpoint but liveness.

A key reads `tm_PREFIX_SECRET`: eight public signs that name it in lists and logs, then 32 random bytes.
"""

import base64
import binascii
import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any

import asyncpg
from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from app.access.viewer import SCOPES, Viewer
from app.db import Connection
from app.errors import NotAllowed, NotSignedIn

INSERT = """
INSERT INTO api_key (organisation_id, prefix, secret_sha256, scopes, label, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)
"""


async def create_key(
    connection: Connection, organisation_id: int, scopes: set[str], label: str, expires_at: datetime | None = None
) -> str:
    """Make a key and return it; it cannot be read again later.

    Raises ValueError if a scope is unknown, none is given, or the key would already have expired.
    """
    if unknown := scopes - SCOPES:
        raise ValueError(f"unknown scope {', '.join(sorted(unknown))}; known: {', '.join(sorted(SCOPES))}")
    if not scopes:
        raise ValueError("a key needs at least one scope")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise ValueError(f"the key would have expired already, at {expires_at.isoformat()}")
    # The alphabet of token_hex, so that neither part holds the separator.
    prefix, secret = secrets.token_hex(4), secrets.token_hex(32)
    key = f"tm_{prefix}_{secret}"
    await connection.execute(INSERT, organisation_id, prefix, _sha256(key), sorted(scopes), label, expires_at)
    return key


LIST = """
SELECT k.prefix, o.code AS organisation, k.scopes, k.label, k.created_at, k.expires_at, k.revoked_at
FROM api_key k JOIN organisation o USING (organisation_id) ORDER BY k.api_key_id
"""


async def list_keys(connection: Connection) -> list[dict[str, Any]]:
    """Give every key by its public part, the oldest first."""
    return [dict(row) for row in await connection.fetch(LIST)]


REVOKE = """
UPDATE api_key SET revoked_at = now() WHERE prefix = $1 AND revoked_at IS NULL RETURNING organisation_id
"""


async def revoke_key(connection: Connection, prefix: str) -> None:
    """Revoke a key for good. Raises ValueError if there is no such key, or it is revoked already."""
    if await connection.fetchval(REVOKE, prefix) is None:
        raise ValueError(f"no key that is still good begins with tm_{prefix}_")


FIND = """
SELECT k.api_key_id, k.secret_sha256, k.scopes, k.expires_at, k.revoked_at, o.organisation_id, o.code, o.kind
FROM api_key k JOIN organisation o USING (organisation_id)
WHERE k.prefix = $1
"""


async def find_viewer(connection: Connection, key: str, request_id: str | None = None) -> Viewer:
    """Give the viewer whom a key stands for.

    Raises NotSignedIn if the key is unknown, revoked or expired, without saying which.
    """
    prefix = key.split("_")[1] if key.count("_") == 2 else ""
    row = await connection.fetchrow(FIND, prefix)
    # Compared also when nothing was found, so that the time taken does not tell a known prefix from an unknown one.
    known = bytes(row["secret_sha256"]) if row else bytes(32)
    if not secrets.compare_digest(known, _sha256(key)) or row is None or not _is_valid(row):
        raise NotSignedIn("This API key is unknown, revoked or expired. Send one as 'Authorization: Bearer tm_…'.")
    return Viewer(
        organisation_id=row["organisation_id"],
        organisation=row["code"],
        kind=row["kind"],
        scopes=frozenset(row["scopes"]),
        api_key_id=row["api_key_id"],
        request_id=request_id,
    )


STILL_VALID = """
SELECT revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) FROM api_key WHERE api_key_id = $1
"""


async def is_still_valid(connection: Connection, viewer: Viewer) -> bool:
    """Say whether the viewer's key is good yet; asked again and again by what goes on for long."""
    return bool(await connection.fetchval(STILL_VALID, viewer.api_key_id))


class KeyRequired(SecurityBase):
    """A dependency that gives the request's viewer: whom its key stands for, if the key has the scope."""

    def __init__(self, scope: str | None, *, takes_basic_json: bool) -> None:
        assert scope is None or scope in SCOPES, scope
        self.scope = scope
        self.takes_basic_json = takes_basic_json
        # The description of the API gets its security requirements from these two (app/docs.py).
        self.model = HTTPBearer(description="An API key, made by `trailmatch key create`.")
        self.scheme_name = scope or ANY_SCOPE

    async def __call__(self, request: Request) -> Viewer:
        """Raises NotSignedIn without a valid key and NotAllowed if the key lacks the scope."""
        key = _key_of(request, takes_basic_json=self.takes_basic_json)
        async with request.app.state.pool.acquire() as connection:
            viewer = await find_viewer(connection, key, request.state.request_id)
        if self.scope is not None and self.scope not in viewer.scopes:
            raise NotAllowed(f"This key lacks the scope {self.scope}.")
        return viewer


ANY_SCOPE = "key"


def requires(scope: str | None, *, takes_basic_json: bool = False) -> KeyRequired:
    """Make a dependency that gives the request's viewer; None asks for a valid key of any scope.

    `takes_basic_json` lets clients that know no other way send the key as the password of Basic credentials with a
    body that says that it is JSON.

    The dependency raises NotSignedIn without a valid key and NotAllowed if the key lacks the scope.
    """
    return KeyRequired(scope, takes_basic_json=takes_basic_json)


def _key_of(request: Request, *, takes_basic_json: bool) -> str:
    method, _, credentials = request.headers.get("authorization", "").partition(" ")
    if method.lower() == "bearer" and credentials:
        return credentials.strip()
    # A browser resends Basic credentials by itself, so they open nothing that changes anything; but it sends no
    # JSON for another site's page without asking us first, and we answer no such question.
    is_json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    if method.lower() == "basic" and (request.method == "GET" or (takes_basic_json and is_json)):
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            raise NotSignedIn("The Basic credentials cannot be read; the key belongs in the password.") from None
    raise NotSignedIn("Send an API key as 'Authorization: Bearer tm_…'.")


def _is_valid(row: asyncpg.Record) -> bool:
    expired = row["expires_at"] is not None and row["expires_at"] <= datetime.now(UTC)
    return row["revoked_at"] is None and not expired


def _sha256(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
