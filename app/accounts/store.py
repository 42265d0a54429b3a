"""Accounts in the database, by e-mail address; an address is one organisation's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from app.access.viewer import Viewer
from app.accounts.schemas import PostedAccount, StoredAccount
from app.audit.store import record
from app.db import Connection
from app.rows import Row, RowError


class Account(NamedTuple):
    """An account's state."""

    organisation_id: int
    name: str
    role: str
    is_disabled: bool


class Outcome(NamedTuple):
    """What was stored, line by line, and what was refused."""

    accounts: list[StoredAccount]
    errors: list[RowError]


# Posts take turns: people come and go a few times a day.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('trailmatch.accounts', 0))"


async def store_accounts(connection: Connection, viewer: Viewer, rows: Sequence[Row[PostedAccount]]) -> Outcome:
    """Store each row as the account's record, whole; rows of one body take effect in their order.

    Call it in a transaction. Cost: four statements, whatever the number of rows.
    """
    await connection.execute(LOCK)
    before = await _find_accounts(connection, {row.record.email.lower() for row in rows})
    now = dict(before)
    outcomes, errors = _sort_out(viewer, rows, now)
    ids = await _write(connection, viewer, {email: now[email] for email, _ in outcomes.values()})
    await record(connection, viewer, "accounts.post", f"accounts={len(outcomes)}")
    stored = [
        StoredAccount(line=line, account_id=ids[email], email=email, outcome=outcome)
        for line, (email, outcome) in outcomes.items()
    ]
    return Outcome(stored, errors)


FIND = """
SELECT lower(email) AS email, organisation_id, name, role, disabled_at IS NOT NULL AS is_disabled
FROM account WHERE lower(email) = ANY($1::text[])
"""


async def _find_accounts(connection: Connection, emails: Iterable[str]) -> dict[str, Account]:
    rows = await connection.fetch(FIND, list(emails))
    return {row["email"]: Account(*tuple(row)[1:]) for row in rows}


Became = Literal["created", "updated", "unchanged"]


def _sort_out(
    viewer: Viewer, rows: Sequence[Row[PostedAccount]], now: dict[str, Account]
) -> tuple[dict[int, tuple[str, Became]], list[RowError]]:
    """Say by line what becomes of each row, and move `now` on."""
    outcomes: dict[int, tuple[str, Became]] = {}
    errors: list[RowError] = []
    for line, posted in rows:
        email = posted.email.lower()
        before = now.get(email)
        if before is not None and before.organisation_id != viewer.organisation_id:
            errors.append(_not_yours(line))
        elif posted.role == "operator" and viewer.kind != "operator":
            errors.append(_no_operator(line))
        else:
            now[email] = Account(viewer.organisation_id, posted.name, posted.role, posted.disabled)
            is_same = now[email] == before
            outcomes[line] = email, "created" if before is None else "unchanged" if is_same else "updated"
    return outcomes, errors


def _not_yours(line: int) -> RowError:
    return RowError(
        line=line,
        pointer="/email",
        code="not_yours",
        message="this address is in use at another organisation",
        required_action="Check the address, or have that organisation's operator free it.",
    )


def _no_operator(line: int) -> RowError:
    return RowError(
        line=line,
        pointer="/role",
        code="not_allowed",
        message="only the operator's own people are operators",
        required_action="Choose another role.",
    )


UPSERT = """
INSERT INTO account (organisation_id, email, name, role, disabled_at)
SELECT $1, new.email, new.name, new.role, CASE WHEN new.is_disabled THEN now() END
FROM unnest($2::text[], $3::text[], $4::text[], $5::bool[]) AS new (email, name, role, is_disabled)
ON CONFLICT (lower(email)) DO UPDATE SET name = excluded.name, role = excluded.role,
    -- the first moment stays
    disabled_at = CASE WHEN excluded.disabled_at IS NOT NULL THEN coalesce(account.disabled_at, now()) END
RETURNING lower(email) AS email, account_id
"""


async def _write(connection: Connection, viewer: Viewer, accounts: Mapping[str, Account]) -> dict[str, int]:
    """Write these accounts, and give the id of each."""
    rows = await connection.fetch(
        UPSERT,
        viewer.organisation_id,
        list(accounts),
        [account.name for account in accounts.values()],
        [account.role for account in accounts.values()],
        [account.is_disabled for account in accounts.values()],
    )
    return {row["email"]: row["account_id"] for row in rows}
