"""Matches and alerts as they are written: what was found for pairs, in one transaction."""

import json
from typing import NamedTuple
from uuid import UUID

from app.alerts.life import Finding, Json
from app.alerts.store import revise_alerts
from app.db import Connection
from app.identity import match_id
from app.matching.context import Context
from app.times import to_datetime
from matcher.evidence import Evidence, is_alerted


class Outcome(NamedTuple):
    """A pair's context and what was found in it; None: nothing places the wearer there."""

    context: Context
    found: Evidence | None
    evidence: Json | None  # the same as JSON, made where the event loop is not held up


UPSERT = """
INSERT INTO match (
    match_id, incident_id, wearer_id, incident_version, profile_id, run_id, is_live, verdict,
    n_pings, min_dist_m, closest_at, first_at, last_at, evidence, context_from_at, context_to_at
)
SELECT match_id, incident_id, wearer_id, incident_version, profile_id, $6, true, verdict,
    n_pings, min_dist_m, closest_at, first_at, last_at, evidence::jsonb, context_from_at, context_to_at
FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::bigint[], $7::text[], $8::int[], $9::float8[],
    $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::timestamptz[], $15::timestamptz[]
) AS found (
    match_id, incident_id, wearer_id, incident_version, profile_id, verdict, n_pings, min_dist_m,
    closest_at, first_at, last_at, evidence, context_from_at, context_to_at
)
ON CONFLICT (match_id) DO UPDATE SET
    incident_version = excluded.incident_version, profile_id = excluded.profile_id, run_id = excluded.run_id,
    is_live = true, verdict = excluded.verdict, n_pings = excluded.n_pings, min_dist_m = excluded.min_dist_m,
    closest_at = excluded.closest_at, first_at = excluded.first_at, last_at = excluded.last_at,
    evidence = excluded.evidence, context_from_at = excluded.context_from_at, context_to_at = excluded.context_to_at,
    evaluated_at = now()
"""
JUDGE = """
INSERT INTO judged_pair (incident_id, wearer_id, context_from_at, context_to_at, pings_from_at, pings_to_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
ON CONFLICT (incident_id, wearer_id) DO UPDATE SET
    context_from_at = excluded.context_from_at, context_to_at = excluded.context_to_at,
    pings_from_at = excluded.pings_from_at, pings_to_at = excluded.pings_to_at
"""
FORGET = """
DELETE FROM judged_pair USING unnest($1::uuid[], $2::uuid[]) AS gone (incident_id, wearer_id)
WHERE judged_pair.incident_id = gone.incident_id AND judged_pair.wearer_id = gone.wearer_id
"""
END = "UPDATE match SET is_live = false, run_id = $2, evaluated_at = now() WHERE match_id = ANY($1::uuid[]) AND is_live"


async def write_outcomes(connection: Connection, run_id: UUID, outcomes: list[Outcome]) -> int:
    """Write matches, and raise, revise or withdraw their alerts; return how many alert revisions that made.

    The caller holds the rows of `due` of all these pairs, so nobody else writes them now.
    """
    found = [(_id(o.context), o.context, o.found) for o in outcomes if o.found is not None]
    await connection.execute(
        UPSERT,
        [match for match, _, _ in found],
        [c.pair.incident_id for _, c, _ in found],
        [c.pair.wearer_id for _, c, _ in found],
        [c.version for _, c, _ in found],
        [c.profile.profile_id for _, c, _ in found],
        run_id,
        [e.verdict for _, _, e in found],
        [e.n_pings for _, _, e in found],
        [e.min_dist_m for _, _, e in found],
        [_at(e.closest_us) for _, _, e in found],
        [_at(e.first_us) for _, _, e in found],
        [_at(e.last_us) for _, _, e in found],
        [json.dumps(o.evidence) for o in outcomes if o.found is not None],
        [to_datetime(c.reach.from_us) for _, c, _ in found],
        [to_datetime(c.reach.to_us) for _, c, _ in found],
    )
    bounds = [(to_datetime(c.reach.from_us), to_datetime(c.reach.to_us)) for _, c, _ in found]
    await connection.execute(
        JUDGE,
        [c.pair.incident_id for _, c, _ in found],
        [c.pair.wearer_id for _, c, _ in found],
        *(list(column) for column in zip(*(b * 2 for b in bounds), strict=True)),
    ) if found else None
    gone = [o.context.pair for o in outcomes if o.found is None]
    await connection.execute(FORGET, [p.incident_id for p in gone], [p.wearer_id for p in gone])
    await connection.execute(END, [_id(o.context) for o in outcomes if o.found is None], run_id)
    findings = [(o.context, Finding(o.context.version, o.evidence, is_alerted(o.found))) for o in outcomes]
    return await revise_alerts(connection, run_id, findings)


def _id(context: Context) -> UUID:
    return match_id(context.force, context.incident_reference, context.wearer_reference)


def _at(us: int | None) -> object:
    return None if us is None else to_datetime(us)
