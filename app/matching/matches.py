"""Matches and alerts as they are written: what was found for pairs, in one transaction."""

import json
from typing import NamedTuple
from uuid import UUID

from app.alerts.life import Finding
from app.alerts.store import revise_alerts
from app.alerts.why import Json, Weighing
from app.db import Connection
from app.identity import match_id
from app.matching.clock import clock_for
from app.matching.context import Case
from app.matching.positions import Span
from app.matching.weighing import Weighed
from app.times import to_datetime
from matcher.evidence import Evidence
from matcher.sentence import sentences
from matcher.weigh import is_alerted


class Found(NamedTuple):
    """The evidence of a match, the same as JSON, and in words."""

    evidence: Evidence
    json: Json
    said: Json


class Outcome(NamedTuple):
    """What was found for a pair."""

    case: Case
    found: Found | None  # None: there is no match
    pings: Span | None  # in which pings can change that; None: nothing can but what the join would find
    is_alerted: bool
    causes: tuple[str, ...]  # why it was looked at

    @classmethod
    def of_weighed(cls, weighed: Weighed, causes: tuple[str, ...]) -> "Outcome":
        """Decide what the evidence comes to."""
        evidence = weighed.evidence
        found = None if evidence is None else _found(evidence)
        return cls(weighed.case, found, weighed.pings, is_alerted(evidence, weighed.case.profile.profile), causes)

    @classmethod
    def of_withdrawn(cls, case: Case, causes: tuple[str, ...]) -> "Outcome":
        """Nothing is found for an incident that was withdrawn."""
        return cls(case, None, None, is_alerted=False, causes=causes)

    @property
    def match_id(self) -> UUID:
        """Id of the match that there is, was, or could have been."""
        return match_id(self.case.force, self.case.incident_reference, self.case.wearer_reference)


def _found(evidence: Evidence) -> Found:
    said = sentences(evidence, clock_for(evidence.from_us, evidence.to_us))
    return Found(evidence, evidence.as_json(), said._asdict())


async def write_outcomes(connection: Connection, run_id: UUID, outcomes: list[Outcome]) -> int:
    """Write matches, and raise, revise or withdraw their alerts; return how many alert revisions that made.

    The caller holds the rows of `due` of all these pairs, so nobody else writes them now.
    """
    if matches := [(o, o.found) for o in outcomes if o.found is not None]:
        await _put_matches(connection, run_id, matches)
    if ended := [o.match_id for o in outcomes if o.found is None]:
        await connection.execute(END, ended, run_id)
    if judged := [(o, o.pings) for o in outcomes if o.pings is not None]:
        await _put_judged(connection, judged)
    if forgotten := [o.case.pair for o in outcomes if o.pings is None]:
        await connection.execute(FORGET, [p.incident_id for p in forgotten], [p.wearer_id for p in forgotten])
    return await revise_alerts(connection, run_id, [(o.case, _finding(o)) for o in outcomes])


PUT_MATCHES = """
INSERT INTO match (
    match_id, incident_id, wearer_id, incident_version, profile_id, run_id, is_live, verdict, n_pings, min_dist_m,
    closest_at, first_at, last_at, inside_s, highest, ever, at_crime, covered, ratio, needed_mps, evidence,
    said
)
SELECT match_id, incident_id, wearer_id, incident_version, profile_id, $1, true, verdict, n_pings, min_dist_m,
    closest_at, first_at, last_at, inside_s, highest, ever, at_crime, covered, ratio, needed_mps, evidence::jsonb,
    said::jsonb
FROM unnest(
    $2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::bigint[], $7::text[], $8::int[], $9::float8[],
    $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::float8[], $14::float8[], $15::float8[],
    $16::float8[], $17::float8[], $18::float8[], $19::float8[], $20::text[], $21::text[]
) AS found (
    match_id, incident_id, wearer_id, incident_version, profile_id, verdict, n_pings, min_dist_m,
    closest_at, first_at, last_at, inside_s, highest, ever, at_crime, covered, ratio, needed_mps, evidence,
    said
)
ON CONFLICT (match_id) DO UPDATE SET
    incident_version = excluded.incident_version, profile_id = excluded.profile_id, run_id = excluded.run_id,
    is_live = true, verdict = excluded.verdict, n_pings = excluded.n_pings, min_dist_m = excluded.min_dist_m,
    closest_at = excluded.closest_at, first_at = excluded.first_at, last_at = excluded.last_at,
    inside_s = excluded.inside_s, highest = excluded.highest, ever = excluded.ever, at_crime = excluded.at_crime,
    covered = excluded.covered, ratio = excluded.ratio, needed_mps = excluded.needed_mps,
    evidence = excluded.evidence, said = excluded.said, evaluated_at = now()
"""


async def _put_matches(connection: Connection, run_id: UUID, matches: list[tuple[Outcome, Found]]) -> None:
    evidence = [found.evidence for _, found in matches]
    await connection.execute(
        PUT_MATCHES,
        run_id,
        [o.match_id for o, _ in matches],
        [o.case.pair.incident_id for o, _ in matches],
        [o.case.pair.wearer_id for o, _ in matches],
        [o.case.version for o, _ in matches],
        [o.case.profile.profile_id for o, _ in matches],
        [e.verdict for e in evidence],
        [e.n_pings for e in evidence],
        [e.min_dist_m for e in evidence],
        [_at(e.closest_us) for e in evidence],
        [_at(e.first_us) for e in evidence],
        [_at(e.last_us) for e in evidence],
        [e.inside_s for e in evidence],
        [e.inside and e.inside.highest for e in evidence],
        [e.inside and e.inside.ever for e in evidence],
        [e.inside and e.inside.at_crime for e in evidence],
        [e.coverage and e.coverage.share for e in evidence],
        [e.chance and e.chance.ratio for e in evidence],
        [e.reach and e.reach.needed_mps for e in evidence],
        [json.dumps(found.json) for _, found in matches],
        [json.dumps(found.said) for _, found in matches],
    )


END = "UPDATE match SET is_live = false, run_id = $2, evaluated_at = now() WHERE match_id = ANY($1::uuid[]) AND is_live"

PUT_JUDGED = """
INSERT INTO judged_pair (incident_id, wearer_id, context_from_at, context_to_at, pings_from_at, pings_to_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
ON CONFLICT (incident_id, wearer_id) DO UPDATE SET
    context_from_at = excluded.context_from_at, context_to_at = excluded.context_to_at,
    pings_from_at = excluded.pings_from_at, pings_to_at = excluded.pings_to_at
"""


async def _put_judged(connection: Connection, judged: list[tuple[Outcome, Span]]) -> None:
    await connection.execute(
        PUT_JUDGED,
        [o.case.pair.incident_id for o, _ in judged],
        [o.case.pair.wearer_id for o, _ in judged],
        [to_datetime(o.case.bounds.history_from_us) for o, _ in judged],
        [to_datetime(o.case.bounds.to_us) for o, _ in judged],
        [to_datetime(pings.from_us) for _, pings in judged],
        [to_datetime(pings.to_us) for _, pings in judged],
    )


FORGET = """
DELETE FROM judged_pair USING unnest($1::uuid[], $2::uuid[]) AS gone (incident_id, wearer_id)
WHERE judged_pair.incident_id = gone.incident_id AND judged_pair.wearer_id = gone.wearer_id
"""


def _finding(outcome: Outcome) -> Finding:
    profile = outcome.case.profile
    found = outcome.found
    weighing = Weighing(outcome.case.version, f"{profile.profile.name} version {profile.version}", found and found.json)
    return Finding(weighing, found and found.said, outcome.causes, outcome.is_alerted)


def _at(us: int | None) -> object:
    return None if us is None else to_datetime(us)
