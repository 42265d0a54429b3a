"""Alerts as they are written: raised, revised, withdrawn and reopened in the transaction of their match."""

import json
from typing import NamedTuple
from uuid import UUID

from app import metrics
from app.alerts.life import Finding, Revision, Standing, next_revision
from app.alerts.why import Weighing
from app.db import Connection
from app.identity import alert_id, match_id
from app.matching.context import Case

STANDING = """
SELECT a.alert_id, a.state, a.revision, r.incident_version, p.name || ' version ' || p.version AS profile, r.evidence
FROM alert a JOIN alert_revision r USING (alert_id, revision) JOIN profile p USING (profile_id)
WHERE a.alert_id = ANY($1::uuid[])
ORDER BY a.alert_id FOR UPDATE OF a
"""


async def revise_alerts(connection: Connection, run_id: UUID, findings: list[tuple[Case, Finding]]) -> int:
    """Bring the alerts of pairs up to what was found; return how many revisions that made."""
    ids = [alert_id(case.force, case.incident_reference, case.wearer_reference) for case, _ in findings]
    standing = {
        row["alert_id"]: Standing(
            row["state"], row["revision"], Weighing(row["incident_version"], row["profile"], row["evidence"])
        )
        for row in await connection.fetch(STANDING, ids)
    }
    revised = [
        _Revised(alert, case, finding, revision)
        for alert, (case, finding) in zip(ids, findings, strict=True)
        if (revision := next_revision(standing.get(alert), finding)) is not None
    ]
    if revised:
        await _write(connection, run_id, revised)
    for each in revised:
        metrics.ALERTS.labels(each.revision.kind).inc()
    return len(revised)


class _Revised(NamedTuple):
    alert_id: UUID
    case: Case
    finding: Finding
    revision: Revision


# An alert, its revision and the event on the stream, in one statement.
PUT = """
WITH revised AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::int[], $7::text[], $8::text[],
        $9::text[], $10::int[], $11::bigint[], $12::text[], $13::text[])
        AS revised (alert_id, match_id, incident_id, wearer_id, state, revision, kind, why, changed, incident_version,
            profile_id, evidence, said)
),
alerts AS (
    INSERT INTO alert (alert_id, match_id, incident_id, wearer_id, state, revision)
    SELECT alert_id, match_id, incident_id, wearer_id, state, revision FROM revised
    ON CONFLICT (alert_id) DO UPDATE SET state = excluded.state, revision = excluded.revision, changed_at = now()
),
revisions AS (
    INSERT INTO alert_revision (alert_id, revision, kind, why, changed, incident_version, profile_id, run_id, evidence,
        said)
    SELECT alert_id, revision, kind, why, ARRAY(SELECT jsonb_array_elements_text(changed::jsonb)), incident_version,
        profile_id, $14, evidence::jsonb, said::jsonb
    FROM revised
)
INSERT INTO outbox (alert_id, revision, state) SELECT alert_id, revision, state FROM revised
"""


async def _write(connection: Connection, run_id: UUID, revised: list[_Revised]) -> None:
    await connection.execute(
        PUT,
        [r.alert_id for r in revised],
        [match_id(r.case.force, r.case.incident_reference, r.case.wearer_reference) for r in revised],
        [r.case.pair.incident_id for r in revised],
        [r.case.pair.wearer_id for r in revised],
        [r.revision.state for r in revised],
        [r.revision.revision for r in revised],
        [r.revision.kind for r in revised],
        [r.revision.why for r in revised],
        [json.dumps(r.revision.changed) for r in revised],
        [r.finding.weighing.incident_version for r in revised],
        [r.case.profile.profile_id for r in revised],
        [json.dumps(r.finding.weighing.evidence) for r in revised],
        [json.dumps(r.finding.said) for r in revised],
        run_id,
    )
