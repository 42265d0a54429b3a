"""Wearers in the database, by the pseudonymous reference that everybody who knows them uses."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.identity import wearer_id
from app.rows import Row, RowError
from app.wearers.schemas import PostedWearer, StoredWearer

# In the order of ids, so that two callers never wait for each other in a circle.
INSERT = """
INSERT INTO wearer (wearer_id, reference)
SELECT new.* FROM unnest($1::uuid[], $2::text[]) AS new (wearer_id, reference) ORDER BY wearer_id
ON CONFLICT (wearer_id) DO NOTHING RETURNING wearer_id
"""


async def find_or_create_wearers(connection: Connection, references: Iterable[str]) -> dict[str, UUID]:
    """Give the id of each reference; one that nobody has heard of is made, registered by nobody yet."""
    ids = {reference: wearer_id(reference) for reference in references}
    await connection.execute(INSERT, list(ids.values()), list(ids))
    return ids


class Responsible(NamedTuple):
    """Whose a wearer is, as organisations."""

    registered_by: int | None
    force_id: int | None
    probation_id: int | None


class Outcome(NamedTuple):
    """What was stored, line by line, and what was refused."""

    wearers: list[StoredWearer]
    errors: list[RowError]


async def store_wearers(connection: Connection, viewer: Viewer, rows: Sequence[Row[PostedWearer]]) -> Outcome:
    """Store each row as the wearer's record, whole: a force or probation region that it leaves out is none.

    Call it in a transaction. Whoever posts a wearer first registers them, and alone may post them again. Rows of one
    body take effect in their order. Cost: five statements, whatever the number of rows.
    """
    organisations = await _find_organisations(connection, rows)
    refused = [error for row in rows for error in _unknown_organisations(row, organisations)]
    bad_lines = {error.line for error in refused}
    accepted = [row for row in rows if row.line not in bad_lines]
    ids = {row.record.reference: wearer_id(row.record.reference) for row in accepted}
    made = await connection.fetch(INSERT, list(ids.values()), list(ids))
    before = await _find_locked(connection, list(ids.values()))
    now = dict(before)
    stored, errors = _sort_out(viewer, accepted, organisations, {row["wearer_id"] for row in made}, now)
    await _update(connection, {each: now[each] for each in now if now[each] != before[each]})
    await record(connection, viewer, "wearers.post", f"wearers={len(stored)}", [s.wearer_id for s in stored])
    return Outcome(stored, sorted(refused + errors, key=lambda error: error.line))


FIND_ORGANISATIONS = """
SELECT organisation_id, kind, code FROM organisation WHERE kind IN ('force', 'probation') AND code = ANY($1::text[])
"""


async def _find_organisations(connection: Connection, rows: Sequence[Row[PostedWearer]]) -> dict[tuple[str, str], int]:
    """Give the id of each kind and code that there is."""
    codes = {code for row in rows for code in (row.record.force, row.record.probation) if code is not None}
    found = await connection.fetch(FIND_ORGANISATIONS, list(codes))
    return {(row["kind"], row["code"]): row["organisation_id"] for row in found}


def _unknown_organisations(row: Row[PostedWearer], known: Mapping[tuple[str, str], int]) -> list[RowError]:
    named = (("force", row.record.force), ("probation", row.record.probation))
    return [
        RowError(
            line=row.line,
            pointer=f"/{kind}",
            code=f"unknown_{kind}",
            message=f"no {kind} organisation has this code",
            required_action=f"Have the operator make it, or leave '{kind}' out.",
        )
        for kind, code in named
        if code is not None and (kind, code) not in known
    ]


# Not FOR UPDATE: that would also hold up whoever only refers to one of these wearers.
LOCK = """
SELECT wearer_id, registered_by, force_id, probation_id FROM wearer WHERE wearer_id = ANY($1::uuid[])
ORDER BY wearer_id FOR NO KEY UPDATE
"""


async def _find_locked(connection: Connection, ids: list[UUID]) -> dict[UUID, Responsible]:
    rows = await connection.fetch(LOCK, ids)
    return {row["wearer_id"]: Responsible(row["registered_by"], row["force_id"], row["probation_id"]) for row in rows}


def _sort_out(
    viewer: Viewer,
    rows: Sequence[Row[PostedWearer]],
    organisations: Mapping[tuple[str, str], int],
    made: set[UUID],
    now: dict[UUID, Responsible],
) -> tuple[list[StoredWearer], list[RowError]]:
    """Say what becomes of each row, and move `now` on."""
    stored: list[StoredWearer] = []
    errors: list[RowError] = []
    for line, posted in rows:
        each = wearer_id(posted.reference)
        if now[each].registered_by not in {None, viewer.organisation_id}:
            errors.append(_not_yours(line))
            continue
        after = Responsible(
            viewer.organisation_id,
            organisations.get(("force", posted.force or "")),
            organisations.get(("probation", posted.probation or "")),
        )
        is_new = each in made and now[each].registered_by is None
        outcome = StoredWearer(
            line=line,
            wearer_id=each,
            reference=posted.reference,
            outcome="created" if is_new else "unchanged" if now[each] == after else "updated",
        )
        stored.append(outcome)
        now[each] = after
    return stored, errors


def _not_yours(line: int) -> RowError:
    return RowError(
        line=line,
        pointer="/reference",
        code="not_yours",
        message="another organisation registered this wearer",
        required_action="Ask that organisation to change the record, or check the reference.",
    )


UPDATE = """
UPDATE wearer SET registered_by = new.registered_by, force_id = new.force_id, probation_id = new.probation_id,
    updated_at = now()
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[])
    AS new (wearer_id, registered_by, force_id, probation_id)
WHERE wearer.wearer_id = new.wearer_id
"""


async def _update(connection: Connection, changed: Mapping[UUID, Responsible]) -> None:
    await connection.execute(
        UPDATE,
        list(changed),
        [r.registered_by for r in changed.values()],
        [r.force_id for r in changed.values()],
        [r.probation_id for r in changed.values()],
    )
