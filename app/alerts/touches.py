"""What people do with alerts, put on the stream with the revisions, in the transaction in which they do it."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from app.db import Connection


class Touch(NamedTuple):
    """Something that happened to an alert and is no revision of it."""

    alert_id: UUID
    event: str  # taken_up, assigned, decided, outcome or escalated
    why: str  # a sentence for people, without names
    account_id: int | None = None  # who is to look after the alert from now on


PUT_OUTBOX = """
INSERT INTO outbox (alert_id, revision, event, state, why, account_id)
SELECT a.alert_id, a.revision, touch.event, a.state, touch.why, touch.account_id
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) AS touch (alert_id, event, why, account_id)
JOIN alert a USING (alert_id)
ORDER BY a.alert_id
"""


async def tell(connection: Connection, touches: Sequence[Touch]) -> None:
    """Give each a place on the stream once this transaction has committed; call it after the alerts are changed."""
    await connection.execute(PUT_OUTBOX, *([touch[i] for touch in touches] for i in range(len(Touch._fields))))
