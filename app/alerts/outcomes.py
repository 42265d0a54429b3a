"""What came of alerts that were passed to the police: one by one, or many from a file."""

from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID

import asyncpg

from app.access.viewer import Viewer
from app.alerts.decision_schemas import Outcome, PostedOutcome
from app.alerts.reading import refuse_invisible
from app.alerts.touches import Touch, tell
from app.audit.store import record
from app.db import Connection
from app.errors import BadRecord
from app.rows import RowError


class NamedOutcome(NamedTuple):
    """An outcome and the alerts whose ids lie in a range: a number gives an id's first 40 bits, an id all of it."""

    line: int
    least_id: UUID
    greatest_id: UUID
    outcome: PostedOutcome


class Recorded(NamedTuple):
    """What became of one outcome."""

    line: int
    result: Literal["recorded", "unchanged"] | RowError


FIND_ALERTS = """
SELECT named.line, a.alert_id, a.wearer_id,
    EXISTS (
        SELECT FROM decision d
        WHERE d.alert_id = a.alert_id AND d.decision = 'pass_to_police' AND d.state = 'decided'
    ) AS is_passed
FROM unnest($2::int[], $3::uuid[], $4::uuid[]) AS named (line, least_id, greatest_id)
JOIN alert a ON a.alert_id BETWEEN named.least_id AND named.greatest_id
JOIN incident i USING (incident_id)
JOIN wearer w USING (wearer_id)
WHERE i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1
ORDER BY a.alert_id
"""
# In the order of the ids, as every writer of several.
INSERT = """
INSERT INTO outcome (alert_id, outcome, happened_on, source, reference, organisation_id, api_key_id, account_id)
SELECT alert_id, outcome, happened_on, source, reference, $6, $7, $8
FROM unnest($1::uuid[], $2::text[], $3::date[], $4::text[], $5::text[])
    AS posted (alert_id, outcome, happened_on, source, reference)
ORDER BY alert_id, outcome, happened_on, source, reference
ON CONFLICT DO NOTHING
RETURNING alert_id, outcome, happened_on, source, reference
"""


async def record_outcomes(connection: Connection, viewer: Viewer, named: list[NamedOutcome]) -> list[Recorded]:
    """Record outcomes, each once however often it is sent; one bad row never refuses the others."""
    found: dict[int, list[asyncpg.Record]] = {each.line: [] for each in named}
    for row in await connection.fetch(
        FIND_ALERTS,
        viewer.organisation_id,
        [each.line for each in named],
        [each.least_id for each in named],
        [each.greatest_id for each in named],
    ):
        found[row["line"]].append(row)
    errors = {each.line: error for each in named if (error := _error(each, found[each.line])) is not None}
    good = [(found[each.line][0], each) for each in named if each.line not in errors]
    new = await _insert(connection, viewer, good)
    await tell(connection, [Touch(key[0], "outcome", f"Outcome: {key[1]}, on {key[2]}.") for key in sorted(new)])
    wearers = [row["wearer_id"] for row, _ in good]
    await record(connection, viewer, "outcomes.record", f"{len(new)} of {len(named)}", wearers)
    results = [Recorded(line, error) for line, error in errors.items()]
    for row, each in good:
        key = _key(row["alert_id"], each.outcome)
        results.append(Recorded(each.line, "recorded" if key in new else "unchanged"))
        new.discard(key)
    return sorted(results, key=lambda result: result.line)


_Key = tuple[UUID, str, date, str, str]


async def _insert(connection: Connection, viewer: Viewer, good: list[tuple[asyncpg.Record, NamedOutcome]]) -> set[_Key]:
    rows = await connection.fetch(
        INSERT,
        [row["alert_id"] for row, _ in good],
        [each.outcome.outcome for _, each in good],
        [each.outcome.happened_on for _, each in good],
        [each.outcome.source for _, each in good],
        [each.outcome.reference for _, each in good],
        viewer.organisation_id,
        viewer.api_key_id,
        viewer.account_id,
    )
    return {(row["alert_id"], row["outcome"], row["happened_on"], row["source"], row["reference"]) for row in rows}


def _key(alert_id: UUID, outcome: PostedOutcome) -> _Key:
    return alert_id, outcome.outcome, outcome.happened_on, outcome.source, outcome.reference


def _error(named: NamedOutcome, alerts: list[asyncpg.Record]) -> RowError | None:
    if not alerts:
        return RowError(
            line=named.line,
            pointer="/alert",
            code="unknown_alert",
            message="there is no such alert, or this key may not see it",
            required_action="Check the number or id against the alert.",
        )
    if len(alerts) > 1:
        return RowError(
            line=named.line,
            pointer="/alert",
            code="ambiguous_alert",
            message="several alerts have this number",
            required_action="Send the alert's id in place of its number.",
        )
    if not alerts[0]["is_passed"]:
        return RowError(
            line=named.line,
            pointer="/alert",
            code="not_passed_to_police",
            message="no decision has passed this alert to the police",
            required_action="Record the decision, with its second check if one is asked for, and send this row again.",
        )
    # The day may have begun already where the caller is.
    if named.outcome.happened_on > (datetime.now(UTC) + timedelta(hours=14)).date():
        return RowError(
            line=named.line,
            pointer="/date",
            code="in_future",
            message="the day has not come yet",
            required_action="Correct the date, or send the row again once it has happened.",
        )
    return None


async def record_outcome(
    connection: Connection, viewer: Viewer, alert_id: UUID, posted: PostedOutcome
) -> list[Outcome]:
    """Record one outcome and give all of the alert's.

    Raises NotFound if the viewer may not see the alert, and BadRecord if the outcome is not acceptable.
    """
    await refuse_invisible(connection, viewer, alert_id)
    [recorded] = await record_outcomes(connection, viewer, [NamedOutcome(1, alert_id, alert_id, posted)])
    if isinstance(recorded.result, RowError):
        raise BadRecord("The record is not acceptable; nothing was stored.", [recorded.result.model_dump()])
    return await _read_outcomes(connection, viewer, alert_id)


async def list_outcomes(connection: Connection, viewer: Viewer, alert_id: UUID) -> list[Outcome]:
    """Read all outcomes of an alert. Raises NotFound if the viewer may not see the alert."""
    wearer_id = await refuse_invisible(connection, viewer, alert_id)
    await record(connection, viewer, "outcomes.list", str(alert_id), [wearer_id])
    return await _read_outcomes(connection, viewer, alert_id)


LIST_OUTCOMES = """
SELECT u.outcome, u.happened_on, u.source, u.reference, o.code AS organisation, u.recorded_at
FROM outcome u
JOIN organisation o USING (organisation_id)
JOIN alert a USING (alert_id)
JOIN incident i USING (incident_id)
JOIN wearer w USING (wearer_id)
WHERE u.alert_id = $2 AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1)
ORDER BY u.outcome_id
"""


async def _read_outcomes(connection: Connection, viewer: Viewer, alert_id: UUID) -> list[Outcome]:
    return [Outcome(**row) for row in await connection.fetch(LIST_OUTCOMES, viewer.organisation_id, alert_id)]
