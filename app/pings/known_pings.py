"""Pings that were stored lately: a body sent again because its answer was lost need not be compared ping by ping."""

from typing import Final, NamedTuple

from app.access.viewer import Viewer
from app.db import Connection
from app.pings.delivery import Delivery

# Each takes some 400 bytes. Who has lost an answer sends the body again within minutes.
_LIMIT: Final = 20_000


class Before(NamedTuple):
    """The batch that seems to have brought these very pings."""

    batch_id: int
    content_sha256: bytes


class KnownPings:
    """Which batch brought which pings, by their sender and their digest; of the batches stored last.

    A hint: the database may have been set back since, so `is_stored` asks before anybody is told that they are there.
    """

    def __init__(self) -> None:
        self._batches: dict[tuple[int, bytes], Before] = {}

    def before(self, viewer: Viewer, delivery: Delivery, digest: bytes) -> Before | None:
        """Give the batch with which this sender's pings of this digest were stored.

        None also if there is more to do than to store pings: to keep rows that are rejected, or to settle kept ones.
        """
        if not delivery.pings.size or delivery.rejects or delivery.settled:
            return None
        return self._batches.get((viewer.organisation_id, digest))

    def remember(self, viewer: Viewer, digest: bytes, before: Before) -> None:
        """Keep in mind what a batch brought; to be called after the commit."""
        self._batches[viewer.organisation_id, digest] = before
        if len(self._batches) > _LIMIT:
            del self._batches[next(iter(self._batches))]


IS_STORED = """
SELECT EXISTS (SELECT FROM ping_batch WHERE batch_id = $1 AND organisation_id = $2 AND content_sha256 = $3)
"""


async def is_stored(connection: Connection, viewer: Viewer, before: Before) -> bool:
    """Whether that batch is there. It was committed together with its pings, of which none is ever deleted."""
    is_there: bool = await connection.fetchval(
        IS_STORED, before.batch_id, viewer.organisation_id, before.content_sha256
    )
    return is_there
