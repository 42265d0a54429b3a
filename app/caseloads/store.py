"""Who manages whom, in the database: entries known by account, wearer and beginning, ended and never deleted."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.access.viewer import Viewer
from app.audit.store import record
from app.caseloads.schemas import PostedCaseload, StoredCaseload
from app.db import Connection
from app.identity import wearer_id
from app.rows import Row, RowError


class Entry(NamedTuple):
    """What an entry is known by."""

    account_id: int
    wearer_id: UUID
    from_at: datetime


class Outcome(NamedTuple):
    """What was stored, line by line, and what was refused."""

    caseloads: list[StoredCaseload]
    errors: list[RowError]


# An organisation's posts take turns, so that an entry posted twice at once is made once.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('trailmatch.caseloads', $1))"


async def store_caseloads(connection: Connection, viewer: Viewer, rows: Sequence[Row[PostedCaseload]]) -> Outcome:
    """Store each row; rows of one body take effect in their order.

    Call it in a transaction. Only the viewer's own people, and wearers whom its organisation manages, are taken.
    Cost: seven statements, whatever the number of rows.
    """
    await connection.execute(LOCK, viewer.organisation_id)
    accounts = await _find_accounts(connection, viewer, {row.record.email.lower() for row in rows})
    wearers = await _find_wearers(connection, viewer, {wearer_id(row.record.wearer_reference) for row in rows})
    errors = [error for row in rows for error in _unknown(row, accounts, wearers)]
    bad_lines = {error.line for error in errors}
    posted = {
        line: (Entry(accounts[c.email.lower()], wearer_id(c.wearer_reference), c.from_at), c.to_at)
        for line, c in rows
        if line not in bad_lines
    }
    before = await _find_entries(connection, {entry.account_id for entry, _ in posted.values()})
    now = dict(before)
    stored = []
    for line, (entry, to_at) in posted.items():
        is_known, is_same = entry in now, now.get(entry, ...) == to_at
        outcome = StoredCaseload(line=line, outcome="unchanged" if is_same else "updated" if is_known else "created")
        stored.append(outcome)
        now[entry] = to_at
    await _insert(connection, {entry: now[entry] for entry in now if entry not in before})
    await _end(connection, {entry: now[entry] for entry in before if now[entry] != before[entry]})
    await record(
        connection, viewer, "caseloads.post", f"caseloads={len(stored)}", {e.wearer_id for e, _ in posted.values()}
    )
    return Outcome(stored, errors)


FIND_ACCOUNTS = """
SELECT lower(email) AS email, account_id FROM account WHERE organisation_id = $1 AND lower(email) = ANY($2::text[])
"""


async def _find_accounts(connection: Connection, viewer: Viewer, emails: Iterable[str]) -> dict[str, int]:
    rows = await connection.fetch(FIND_ACCOUNTS, viewer.organisation_id, list(emails))
    return {row["email"]: row["account_id"] for row in rows}


FIND_WEARERS = "SELECT wearer_id FROM wearer WHERE $1 IN (force_id, probation_id) AND wearer_id = ANY($2::uuid[])"


async def _find_wearers(connection: Connection, viewer: Viewer, ids: Iterable[UUID]) -> set[UUID]:
    return {row["wearer_id"] for row in await connection.fetch(FIND_WEARERS, viewer.organisation_id, list(ids))}


def _unknown(row: Row[PostedCaseload], accounts: Mapping[str, int], wearers: set[UUID]) -> list[RowError]:
    errors = []
    if row.record.email.lower() not in accounts:
        errors.append(
            RowError(
                line=row.line,
                pointer="/email",
                code="unknown_account",
                message="your organisation has no account with this address",
                required_action="Post the account first (POST /v1/accounts), or check the address.",
            )
        )
    if wearer_id(row.record.wearer_reference) not in wearers:
        errors.append(
            RowError(
                line=row.line,
                pointer="/wearer_reference",
                code="unknown_wearer",
                message="your organisation manages no wearer with this reference",
                required_action="Have whoever registered the wearer name your organisation, or check the reference.",
            )
        )
    return errors


FIND_ENTRIES = "SELECT account_id, wearer_id, from_at, to_at FROM caseload WHERE account_id = ANY($1::bigint[])"


async def _find_entries(connection: Connection, accounts: Iterable[int]) -> dict[Entry, datetime | None]:
    rows = await connection.fetch(FIND_ENTRIES, list(accounts))
    return {Entry(row["account_id"], row["wearer_id"], row["from_at"]): row["to_at"] for row in rows}


INSERT = """
INSERT INTO caseload (account_id, wearer_id, from_at, to_at)
SELECT new.* FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS new
"""


async def _insert(connection: Connection, entries: Mapping[Entry, datetime | None]) -> None:
    await connection.execute(INSERT, *_columns(entries))


END = """
UPDATE caseload SET to_at = new.to_at
FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::timestamptz[])
    AS new (account_id, wearer_id, from_at, to_at)
WHERE caseload.account_id = new.account_id AND caseload.wearer_id = new.wearer_id AND caseload.from_at = new.from_at
"""


async def _end(connection: Connection, entries: Mapping[Entry, datetime | None]) -> None:
    await connection.execute(END, *_columns(entries))


def _columns(
    entries: Mapping[Entry, datetime | None],
) -> tuple[list[int], list[UUID], list[datetime], list[datetime | None]]:
    return (
        [entry.account_id for entry in entries],
        [entry.wearer_id for entry in entries],
        [entry.from_at for entry in entries],
        list(entries.values()),
    )
