"""Pairs of an incident and a wearer that have to be evaluated, and what makes a pair due again.

Whoever adds pings, activations or a version of an incident calls one of these in its own transaction. Two orders
matter, and each closes a way to lose a match (docs/decisions/0003):

* Pairs that wait are touched before those that were judged are looked up. An evaluation that is being written in this
  moment either still has its row in `due` and is overtaken, or it has committed and what it judged is seen.
* Everybody who touches `due` takes one lock first and holds it to commit, so that no two of them wait for each other.

A pair that was judged says in `judged_pair` what can change its answer, of pings less than of all else (0011). One that
waits is touched by whatever lies in its whole context: what it will look at is not known yet.

A pair that is being evaluated stays with whoever has claimed it. Its generation moves, so it is evaluated once more;
its causes are appended, also one that stands there, so that those that came after the claim can be told from others.
"""

from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from app.db import Connection

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('trailmatch.due', 0))"


# Why a pair is due: what alerts give as the reason for a revision.
Cause = Literal["pings", "fittings", "device_events", "licences", "incident"]


class Touch(NamedTuple):
    """A stretch of time in which what is known of a wearer has changed; both ends belong to it."""

    wearer_id: UUID
    from_at: datetime
    to_at: datetime


TOUCH_WAITING_OF_WEARERS = """
UPDATE due SET generation = nextval('due_generation'), attempts = 0, is_again = due.is_again AND $4 = 'pings',
    claimed_until = CASE WHEN claim_token IS NOT NULL THEN claimed_until END,
    causes = CASE WHEN claim_token IS NULL AND $4 = ANY(due.causes) THEN due.causes ELSE due.causes || $4 END
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS touch (wearer_id, from_at, to_at)
WHERE due.wearer_id = touch.wearer_id
  AND touch.from_at <= due.context_to_at AND touch.to_at >= due.context_from_at
"""

TOUCH_JUDGED = """
INSERT INTO due (incident_id, wearer_id, generation, context_from_at, context_to_at, causes)
SELECT incident_id, wearer_id, nextval('due_generation'), context_from_at, context_to_at, ARRAY[$4]
FROM (
    SELECT DISTINCT j.incident_id, j.wearer_id, j.context_from_at, j.context_to_at
    FROM judged_pair j
    JOIN unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS touch (wearer_id, from_at, to_at)
        ON j.wearer_id = touch.wearer_id
        AND touch.from_at <= j.context_to_at AND touch.to_at >= j.context_from_at
) AS touched
ON CONFLICT (incident_id, wearer_id) DO NOTHING
"""

TOUCH_JUDGED_BY_PINGS = """
INSERT INTO due (incident_id, wearer_id, generation, context_from_at, context_to_at, causes, is_again)
SELECT incident_id, wearer_id, nextval('due_generation'), context_from_at, context_to_at, ARRAY[$4], true
FROM (
    SELECT DISTINCT j.incident_id, j.wearer_id, j.context_from_at, j.context_to_at
    FROM judged_pair j
    JOIN unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS touch (wearer_id, from_at, to_at)
        ON j.wearer_id = touch.wearer_id
        AND touch.from_at <= j.pings_to_at AND touch.to_at >= j.pings_from_at
) AS touched
ON CONFLICT (incident_id, wearer_id) DO NOTHING
"""


async def touch_wearers(connection: Connection, touched: list[Touch], cause: Cause) -> None:
    """Make every pair due that these stretches can change, be it waiting, in evaluation or judged."""
    if not touched:
        return
    columns = [t.wearer_id for t in touched], [t.from_at for t in touched], [t.to_at for t in touched]
    await connection.execute(LOCK)
    await connection.execute(TOUCH_WAITING_OF_WEARERS, *columns, cause)
    # A row that is in `due` by now was touched a moment ago; only pairs without one are added.
    await connection.execute(TOUCH_JUDGED_BY_PINGS if cause == "pings" else TOUCH_JUDGED, *columns, cause)


class Candidate(NamedTuple):
    """A device that was in an incident's candidate circle, from the first to the last moment there."""

    incident_id: UUID
    device_id: int
    from_at: datetime
    to_at: datetime
    context_from_at: datetime
    context_to_at: datetime


ADD_CANDIDATES = """
INSERT INTO due (incident_id, wearer_id, generation, context_from_at, context_to_at, causes, is_again)
SELECT incident_id, wearer_id, nextval('due_generation'), context_from_at, context_to_at, ARRAY[$7],
    $7 = 'pings' AND EXISTS (SELECT FROM judged_pair j WHERE (j.incident_id, j.wearer_id)
        = (candidate.incident_id, candidate.wearer_id))
FROM (
    SELECT DISTINCT c.incident_id, a.wearer_id, c.context_from_at, c.context_to_at
    FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
        AS c (incident_id, device_id, from_at, to_at, context_from_at, context_to_at)
    JOIN effective_activation a
        ON a.device_id = c.device_id AND a.from_at <= c.to_at AND a.to_at > c.from_at
) AS candidate
ON CONFLICT (incident_id, wearer_id) DO UPDATE
SET generation = excluded.generation, attempts = 0, is_again = due.is_again AND $7 = 'pings',
    claimed_until = CASE WHEN due.claim_token IS NOT NULL THEN due.claimed_until END,
    context_from_at = least(due.context_from_at, excluded.context_from_at),
    context_to_at = greatest(due.context_to_at, excluded.context_to_at),
    causes = CASE WHEN due.claim_token IS NULL AND $7 = ANY(due.causes) THEN due.causes ELSE due.causes || $7 END
"""


async def add_candidates(connection: Connection, candidates: list[Candidate], cause: Cause) -> None:
    """Make due the pair of each incident and whoever wore the device then.

    The hit of a device that nobody wore then waits for its activation.
    """
    if not candidates:
        return
    await connection.execute(LOCK)
    await connection.execute(ADD_CANDIDATES, *map(list, zip(*candidates, strict=True)), cause)


class Amended(NamedTuple):
    """An incident that has a new version, with the context that this version looks at; None if it was withdrawn."""

    incident_id: UUID
    context_from_at: datetime | None
    context_to_at: datetime | None


TOUCH_WAITING_OF_INCIDENTS = """
UPDATE due SET generation = nextval('due_generation'), attempts = 0, is_again = false,
    claimed_until = CASE WHEN claim_token IS NOT NULL THEN claimed_until END,
    context_from_at = least(due.context_from_at, amended.context_from_at), -- NULL takes no part
    context_to_at = greatest(due.context_to_at, amended.context_to_at),
    causes = CASE WHEN claim_token IS NULL AND 'incident' = ANY(due.causes) THEN due.causes
        ELSE due.causes || 'incident'::text END
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS amended (incident_id, context_from_at, context_to_at)
WHERE due.incident_id = amended.incident_id
"""

TOUCH_JUDGED_OF_INCIDENTS = """
INSERT INTO due (incident_id, wearer_id, generation, context_from_at, context_to_at, causes)
SELECT j.incident_id, j.wearer_id, nextval('due_generation'),
    coalesce(amended.context_from_at, j.context_from_at), coalesce(amended.context_to_at, j.context_to_at),
    ARRAY['incident']
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS amended (incident_id, context_from_at, context_to_at)
JOIN judged_pair j ON j.incident_id = amended.incident_id
ON CONFLICT (incident_id, wearer_id) DO NOTHING
"""


async def touch_incidents(connection: Connection, amended: list[Amended]) -> None:
    """Make every pair of these incidents due that is waiting, in evaluation or judged."""
    if not amended:
        return
    columns = [list(column) for column in zip(*amended, strict=True)]
    await connection.execute(LOCK)
    await connection.execute(TOUCH_WAITING_OF_INCIDENTS, *columns)
    await connection.execute(TOUCH_JUDGED_OF_INCIDENTS, *columns)


WEARERS = """
SELECT a.wearer_id, greatest(a.from_at, s.from_at) AS from_at, least(a.to_at, s.to_at) AS to_at
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS s (device_id, from_at, to_at)
JOIN effective_activation a ON a.device_id = s.device_id AND a.from_at <= s.to_at AND a.to_at > s.from_at
"""


async def find_touched(
    connection: Connection, devices: list[int], from_at: list[datetime], to_at: list[datetime]
) -> list[Touch]:
    """Give who wore these devices in these stretches, each with the part that is theirs."""
    rows = await connection.fetch(WEARERS, devices, from_at, to_at)
    return [Touch(row["wearer_id"], row["from_at"], row["to_at"]) for row in rows]


# Two joins, as of those who touch, and not two questions about each wearer: asked so, the planner may read the whole
# of `due` for each, with all its rows that have gone.
WEARERS_OF_PAIRS = """
WITH touch AS MATERIALIZED (
    SELECT a.wearer_id, greatest(a.from_at, s.from_at) AS from_at, least(a.to_at, s.to_at) AS to_at
    FROM (
        SELECT device_id, timestamptz 'epoch' + from_us * interval '1 microsecond' AS from_at,
            timestamptz 'epoch' + to_us * interval '1 microsecond' AS to_at
        FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS s (device_id, from_us, to_us)
    ) AS s
    JOIN effective_activation a ON a.device_id = s.device_id AND a.from_at <= s.to_at AND a.to_at > s.from_at
)
SELECT touch.* FROM touch JOIN due ON due.wearer_id = touch.wearer_id
    AND touch.from_at <= due.context_to_at AND touch.to_at >= due.context_from_at
UNION
SELECT touch.* FROM touch JOIN judged_pair j ON j.wearer_id = touch.wearer_id
    AND touch.from_at <= j.pings_to_at AND touch.to_at >= j.pings_from_at
"""


async def find_touched_by_pings(
    connection: Connection, devices: list[int], from_us: list[int], to_us: list[int]
) -> list[Touch]:
    """Do the same for pings that were committed before, and leave out whom they can change no pair of.

    Times are in microseconds since 1970: that many of Python's would take 2 ms of the 40 from a ping to its alert.

    A pair that only becomes due from now on is evaluated in a younger snapshot, which holds them. One that is being
    evaluated in an older one stands in `due`, or, if that has ended since, in `judged_pair`: this sees it.
    """
    rows = await connection.fetch(WEARERS_OF_PAIRS, devices, from_us, to_us)
    return [Touch(row["wearer_id"], row["from_at"], row["to_at"]) for row in rows]
