"""The one function that writes what somebody looked at or changed."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from app.access.viewer import Viewer
from app.db import Connection

INSERT = """
INSERT INTO audit_event (organisation_id, api_key_id, account_id, request_id, action, subject, wearer_ids, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def record(
    connection: Connection,
    viewer: Viewer | None,
    action: str,
    subject: str | None = None,
    wearer_ids: Iterable[UUID] = (),
    reason: str | None = None,
) -> None:
    """Write one audit event, in the transaction of what it tells of; no viewer is the operator at the command line.

    `action` is noun and verb, as in "matches.list"; `wearer_ids` are all whose record was shown or changed.
    """
    await record_all(connection, [Deed(viewer, action, subject, wearer_ids, reason)])


class Deed(NamedTuple):
    """What an audit event tells of, as `record` takes it."""

    viewer: Viewer | None
    action: str
    subject: str | None = None
    wearer_ids: Iterable[UUID] = ()
    reason: str | None = None


async def record_all(connection: Connection, deeds: list[Deed]) -> None:
    """Write an audit event for each; any number of them in one round trip."""
    await connection.executemany(
        INSERT,
        [
            (
                viewer and viewer.organisation_id,
                viewer and viewer.api_key_id,
                viewer and viewer.account_id,
                viewer and viewer.request_id,
                action,
                subject,
                sorted(set(wearer_ids)),
                reason,
            )
            for viewer, action, subject, wearer_ids, reason in deeds
        ],
    )
