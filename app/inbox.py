"""What waits for the matcher and the dispatcher, and since when."""

from typing import NamedTuple

from app.db import Connection


class Waiting(NamedTuple):
    """Things of one kind that wait."""

    n: int
    oldest_s: float  # since when the oldest of them does; 0 when nothing waits


class Inbox(NamedTuple):
    """Everything that waits."""

    batches: Waiting  # of pings, to be joined
    arrivals: Waiting  # incident versions whose stored trails have not been read yet
    rejoins: Waiting  # stretches of trails that have another wearer than before; these carry no time
    due: Waiting  # pairs of an incident and a wearer, to be evaluated
    undispatched: Waiting  # alert revisions without a place on the stream

    @property
    def oldest_s(self) -> float:
        """Since when the oldest of all waits."""
        return max(kind.oldest_s for kind in self)


COUNT_INBOX = """
SELECT 'batches' AS kind, count(*) AS n, min(received_at) AS oldest FROM ping_batch WHERE matched_at IS NULL
UNION ALL SELECT 'arrivals', count(*), min(arrived_at) FROM arrival
UNION ALL SELECT 'rejoins', count(*), NULL FROM rejoin
UNION ALL SELECT 'due', count(*), min(due_at) FROM due
UNION ALL SELECT 'undispatched', count(*), min(created_at) FROM outbox WHERE position IS NULL
"""
NOW = "SELECT clock_timestamp()"


async def count_inbox(connection: Connection) -> Inbox:
    """Count what waits. Cost: one index or table scan over what waits, none over what is done."""
    rows = await connection.fetch(COUNT_INBOX)
    # Read after the rows, so that none is from the future.
    now = await connection.fetchval(NOW)
    ages = {
        row["kind"]: Waiting(row["n"], round((now - row["oldest"]).total_seconds(), 3) if row["oldest"] else 0.0)
        for row in rows
    }
    return Inbox(**ages)
