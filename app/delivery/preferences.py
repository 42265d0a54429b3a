"""What people and forces ask for: when a person wants to be told, and what is urgent to a force."""

from datetime import datetime

import asyncpg

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.delivery import telling
from app.delivery.preference_schemas import Preference, RoutingRule
from app.errors import NotAllowed, NotFound

FIND_ACCOUNT = """
SELECT p.by_email, p.quiet_from, p.quiet_to, p.digest_at, p.urgent_at_once
FROM account c LEFT JOIN preference p USING (account_id)
WHERE c.account_id = $1 AND c.organisation_id = $2
"""


async def find_preference(connection: Connection, viewer: Viewer, account_id: int) -> Preference:
    """Read when a person of the viewer's organisation wants to be told. Raises NotFound if there is no such account."""
    row = await connection.fetchrow(FIND_ACCOUNT, account_id, viewer.organisation_id)
    if row is None:
        raise NotFound("Your organisation has no account with this id.")
    await record(connection, viewer, "preferences.get", f"account={account_id}")
    return _shown(preference_of(row))


PUT = """
INSERT INTO preference (account_id, by_email, quiet_from, quiet_to, digest_at, urgent_at_once)
SELECT account_id, $3, $4, $5, $6, $7 FROM account WHERE account_id = $1 AND organisation_id = $2
ON CONFLICT (account_id) DO UPDATE SET by_email = excluded.by_email, quiet_from = excluded.quiet_from,
    quiet_to = excluded.quiet_to, digest_at = excluded.digest_at, urgent_at_once = excluded.urgent_at_once
RETURNING account_id
"""


async def put_preference(
    connection: Connection, viewer: Viewer, account_id: int, put: Preference, now: datetime
) -> None:
    """Say when a person wants to be told, from now on and of what waits already. Raises NotFound as above."""
    wanted = telling.Preference(
        put.by_email, put.quiet_from, put.quiet_to, tuple(sorted(set(put.digest_at))), put.urgent_at_once
    )
    if await connection.fetchval(PUT, account_id, viewer.organisation_id, *wanted) is None:
        raise NotFound("Your organisation has no account with this id.")
    await _wait_anew(connection, account_id, wanted, now)
    await record(connection, viewer, "preferences.put", f"account={account_id}")


WAITING = """
SELECT notice_id, is_urgent FROM notice
WHERE account_id = $1 AND delivery_id IS NULL AND due_at IS NOT NULL ORDER BY notice_id FOR UPDATE
"""
WAIT_ANEW = """
UPDATE notice SET due_at = anew.due_at
FROM unnest($1::bigint[], $2::timestamptz[]) AS anew (notice_id, due_at) WHERE notice.notice_id = anew.notice_id
"""


async def _wait_anew(connection: Connection, account_id: int, wanted: telling.Preference, now: datetime) -> None:
    due = {
        row["notice_id"]: telling.when(now, wanted, is_urgent=row["is_urgent"])
        for row in await connection.fetch(WAITING, account_id)
    }
    await connection.execute(WAIT_ANEW, list(due), list(due.values()))


def preference_of(row: asyncpg.Record) -> telling.Preference:
    """Make a preference from the columns of its table, all NULL if the person has none."""
    if row["by_email"] is None:
        return telling.Preference()
    return telling.Preference(
        row["by_email"], row["quiet_from"], row["quiet_to"], tuple(row["digest_at"]), row["urgent_at_once"]
    )


def _shown(preference: telling.Preference) -> Preference:
    return Preference(**(preference._asdict() | {"digest_at": list(preference.digest_at)}))


FIND_RULE = "SELECT escalate_after_s, urgent_offences FROM routing_rule WHERE organisation_id = $1"


async def find_rule(connection: Connection, viewer: Viewer) -> RoutingRule:
    """Read what the viewer's force asks for. Raises NotAllowed if it is no force."""
    _refuse_others(viewer)
    row = await connection.fetchrow(FIND_RULE, viewer.organisation_id)
    await record(connection, viewer, "routing_rule.get")
    if row is not None:
        return RoutingRule(escalate_after_s=row["escalate_after_s"], urgent_offences=row["urgent_offences"])
    rule = telling.Rule()
    assert rule.escalate_after is not None
    after_s = int(rule.escalate_after.total_seconds())
    return RoutingRule.model_validate({"escalate_after_s": after_s, "urgent_offences": sorted(rule.urgent_offences)})


PUT_RULE = """
INSERT INTO routing_rule (organisation_id, escalate_after_s, urgent_offences) VALUES ($1, $2, $3)
ON CONFLICT (organisation_id) DO UPDATE
SET escalate_after_s = excluded.escalate_after_s, urgent_offences = excluded.urgent_offences
"""


async def put_rule(connection: Connection, viewer: Viewer, put: RoutingRule) -> None:
    """Say what the viewer's force asks for, of incidents that are told from now on. Raises NotAllowed as above."""
    _refuse_others(viewer)
    offences = sorted(set(put.urgent_offences))
    await connection.execute(PUT_RULE, viewer.organisation_id, put.escalate_after_s, offences)
    asked = f"escalate_after_s={put.escalate_after_s} urgent_offences={','.join(offences)}"
    await record(connection, viewer, "routing_rule.put", asked)


def _refuse_others(viewer: Viewer) -> None:
    if viewer.kind != "force":
        raise NotAllowed(f"Alerts follow the rule of the incident's force; {viewer.organisation} is a {viewer.kind}.")
