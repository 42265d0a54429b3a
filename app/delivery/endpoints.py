"""Endpoints of webhooks, in the database: each its organisation's, never removed, only deleted for everybody."""

from datetime import datetime
from ipaddress import ip_address
from typing import NamedTuple

import asyncpg
import httpx

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.delivery.addresses import Networks, is_allowed, is_public
from app.delivery.schemas import Endpoint, PatchedEndpoint, PostedEndpoint
from app.delivery.signing import make_secret
from app.errors import BadRecord, Conflict, NotAllowed, NotFound

INSERT = """
INSERT INTO endpoint (organisation_id, url, label, events, api_key_id) VALUES ($1, $2, $3, $4, $5)
RETURNING endpoint_id
"""


class Made(NamedTuple):
    """An endpoint and its secret."""

    endpoint: Endpoint
    secret: str


async def create_endpoint(
    connection: Connection, viewer: Viewer, posted: PostedEndpoint, key: bytes | None, allowed: Networks
) -> Made:
    """Make an endpoint; what happens from now on is sent there.

    Raises NotAllowed for an organisation that sees no alerts, Conflict if no signing key is set, and BadRecord if the
    address is one that nothing is sent to.
    """
    if viewer.kind not in {"force", "probation"}:
        raise NotAllowed(f"Only forces and probation regions have alerts; {viewer.organisation} is a {viewer.kind}.")
    _refuse_address(posted.url, allowed)
    endpoint_id = await connection.fetchval(
        INSERT, viewer.organisation_id, posted.url, posted.label, sorted(set(posted.events)), viewer.api_key_id
    )
    secret = await _add_secret(connection, endpoint_id, key)
    await record(connection, viewer, "endpoints.create", f"endpoint={endpoint_id} host={httpx.URL(posted.url).host}")
    return Made(await _read(connection, viewer, endpoint_id), secret)


def _refuse_address(url: str, allowed: Networks) -> None:
    """Refuse an address that is one in full; where a name leads is looked at before each attempt."""
    target = httpx.URL(url)
    try:
        address = ip_address(target.host)
    except ValueError:
        return
    if is_allowed(address, allowed):
        return
    if not is_public(address):
        message = "this address is not a public one, and the operator has not allowed its network"
    elif target.scheme != "https":
        message = "must begin with https://"
    else:
        return
    raise _bad_url(message)


def _bad_url(message: str) -> BadRecord:
    error = {
        "line": 1,
        "pointer": "/url",
        "code": "address_refused",
        "message": message,
        "required_action": "Send an https address on the public internet, or have the operator set "
        "TRAILMATCH_WEBHOOK_NETWORKS.",
    }
    return BadRecord("The record is not acceptable; nothing was stored.", [error])


LIST = """
SELECT e.endpoint_id, e.url, e.label, e.events, e.disabled_at IS NULL AS is_enabled, e.disabled_because, e.failures,
    CASE WHEN e.failures > 0 THEN e.resume_at END AS resume_at, e.created_at, w.waiting, w.oldest_waiting_at
FROM endpoint e
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, min(d.created_at) AS oldest_waiting_at FROM delivery d
    WHERE d.endpoint_id = e.endpoint_id AND d.delivered_at IS NULL AND d.cancelled_at IS NULL
) AS w
WHERE e.organisation_id = $1 AND e.deleted_at IS NULL AND e.endpoint_id > $2
    AND ($4::bigint IS NULL OR e.endpoint_id = $4)
ORDER BY e.endpoint_id LIMIT $3
"""


async def list_endpoints(connection: Connection, viewer: Viewer, after: int, limit: int) -> list[Endpoint]:
    """Read the endpoints of the viewer's organisation."""
    rows = await connection.fetch(LIST, viewer.organisation_id, after, limit, None)
    await record(connection, viewer, "endpoints.list", f"after={after}")
    return [Endpoint(**row) for row in rows]


async def find_endpoint(connection: Connection, viewer: Viewer, endpoint_id: int) -> Endpoint:
    """Read one endpoint. Raises NotFound if the viewer's organisation has none with this id."""
    endpoint = await _read(connection, viewer, endpoint_id)
    await record(connection, viewer, "endpoints.get", f"endpoint={endpoint_id}")
    return endpoint


async def _read(connection: Connection, viewer: Viewer, endpoint_id: int) -> Endpoint:
    rows = await connection.fetch(LIST, viewer.organisation_id, 0, 1, endpoint_id)
    if not rows:
        raise _not_found()
    return Endpoint(**rows[0])


def _not_found() -> NotFound:
    return NotFound("Your organisation has no endpoint with this id.")


# Enabling, or another address, ends the pause: somebody has looked after it.
PATCH = """
UPDATE endpoint SET url = coalesce($3, url), label = coalesce($4, label), events = coalesce($5, events),
    disabled_at = CASE WHEN $6 THEN NULL WHEN NOT $6 THEN coalesce(disabled_at, now()) ELSE disabled_at END,
    disabled_because = CASE WHEN $6 THEN NULL WHEN NOT $6 THEN coalesce(disabled_because, 'by its organisation')
        ELSE disabled_because END,
    failures = CASE WHEN $6 OR $3 IS NOT NULL THEN 0 ELSE failures END,
    resume_at = CASE WHEN $6 OR $3 IS NOT NULL THEN '-infinity' ELSE resume_at END
WHERE endpoint_id = $1 AND organisation_id = $2 AND deleted_at IS NULL
RETURNING endpoint_id
"""


async def patch_endpoint(
    connection: Connection, viewer: Viewer, endpoint_id: int, patched: PatchedEndpoint, allowed: Networks
) -> Endpoint:
    """Change an endpoint. Raises NotFound, and BadRecord if its new address is one that nothing is sent to."""
    if patched.url is not None:
        _refuse_address(patched.url, allowed)
    found = await connection.fetchval(
        PATCH,
        endpoint_id,
        viewer.organisation_id,
        patched.url,
        patched.label,
        None if patched.events is None else sorted(set(patched.events)),
        patched.is_enabled,
    )
    if found is None:
        raise _not_found()
    changed = ",".join(sorted(patched.model_fields_set))
    await record(connection, viewer, "endpoints.patch", f"endpoint={endpoint_id} changed={changed}")
    return await _read(connection, viewer, endpoint_id)


DELETE = """
UPDATE endpoint SET deleted_at = now() WHERE endpoint_id = $1 AND organisation_id = $2 AND deleted_at IS NULL
RETURNING endpoint_id
"""
CANCEL_WAITING = """
UPDATE delivery SET cancelled_at = now() WHERE endpoint_id = $1 AND delivered_at IS NULL AND cancelled_at IS NULL
"""
FORGET_SECRETS = "DELETE FROM endpoint_secret WHERE endpoint_id = $1"


async def delete_endpoint(connection: Connection, viewer: Viewer, endpoint_id: int) -> None:
    """Send nothing there any more, what waits included; its log stays. Raises NotFound."""
    if await connection.fetchval(DELETE, endpoint_id, viewer.organisation_id) is None:
        raise _not_found()
    await connection.execute(CANCEL_WAITING, endpoint_id)
    await connection.execute(FORGET_SECRETS, endpoint_id)
    await record(connection, viewer, "endpoints.delete", f"endpoint={endpoint_id}")


LOCK = """
SELECT endpoint_id FROM endpoint WHERE endpoint_id = $1 AND organisation_id = $2 AND deleted_at IS NULL FOR UPDATE
"""
# Never more than two sign: one that was still expiring is over.
END_EXPIRING = "DELETE FROM endpoint_secret WHERE endpoint_id = $1 AND expires_at IS NOT NULL"
EXPIRE = "UPDATE endpoint_secret SET expires_at = $2 WHERE endpoint_id = $1"


async def rotate_secret(
    connection: Connection, viewer: Viewer, endpoint_id: int, key: bytes | None, until: datetime
) -> str:
    """Make a new secret, in use from now on; the one before signs beside it until then. Raises NotFound or Conflict."""
    if await connection.fetchval(LOCK, endpoint_id, viewer.organisation_id) is None:
        raise _not_found()
    await connection.execute(END_EXPIRING, endpoint_id)
    await connection.execute(EXPIRE, endpoint_id, until)
    secret = await _add_secret(connection, endpoint_id, key)
    await record(connection, viewer, "endpoints.rotate_secret", f"endpoint={endpoint_id} until={until.isoformat()}")
    return secret


ADD_NONCE = "INSERT INTO endpoint_secret (endpoint_id, nonce, secret_sha256) VALUES ($1, $2, $3)"


async def _add_secret(connection: Connection, endpoint_id: int, key: bytes | None) -> str:
    if key is None:
        raise Conflict("The operator has to set TRAILMATCH_SIGNING_KEY first: secrets are computed with it.")
    secret = make_secret(key)
    await connection.execute(ADD_NONCE, endpoint_id, secret.nonce, secret.sha256)
    return secret.text


FIND_TARGET = """
SELECT e.url, array_agg(s.nonce ORDER BY s.endpoint_secret_id DESC) AS nonces,
    array_agg(s.secret_sha256 ORDER BY s.endpoint_secret_id DESC) AS sha256s
FROM endpoint e JOIN endpoint_secret s USING (endpoint_id)
WHERE e.endpoint_id = $1 AND e.deleted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > $2)
GROUP BY e.endpoint_id
"""


class Target(NamedTuple):
    """Where a webhook goes, and what its signatures are made of, the newest first."""

    url: str
    nonces: list[bytes]
    sha256s: list[bytes]


async def find_target(connection: Connection, endpoint_id: int, now: datetime) -> Target | None:
    """Read where to send; None if the endpoint was deleted."""
    row: asyncpg.Record | None = await connection.fetchrow(FIND_TARGET, endpoint_id, now)
    return None if row is None else Target(row["url"], row["nonces"], row["sha256s"])
