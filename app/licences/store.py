"""Licences in the database: kept as received, and the wearer's pairs are evaluated again where something changes."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.identity import wearer_id
from app.licences.periods import Period, find_changes, periods_of
from app.licences.schemas import PostedLicence, StoredLicence
from app.matching.due import Touch, touch_wearers
from app.revisions import sort_out
from app.rows import Row, RowError


class Licence(NamedTuple):
    """One revision of a licence, as received."""

    licence_ref: str
    revision: int
    wearer_id: UUID
    from_at: datetime
    to_at: datetime | None
    is_void: bool

    @property
    def key(self) -> tuple[str, int]:
        """What names this revision."""
        return self.licence_ref, self.revision


class Outcome(NamedTuple):
    """What was stored, and what was refused."""

    licences: list[StoredLicence]
    errors: list[RowError]
    has_touched: bool  # something is known of somebody's licence that was not


# All posts take turns: of two organisations that take back their licences of one wearer, each would else still see the
# other's, and the time that both named would be touched by neither.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('trailmatch.licences', 0))"


async def store_licences(connection: Connection, viewer: Viewer, rows: Sequence[Row[PostedLicence]]) -> Outcome:
    """Store each row, and make due again every pair whose context holds a change of its wearer's licence.

    Call it in a transaction. Only wearers whom the viewer's organisation registered or manages are taken. Cost: ten
    statements, whatever the number of rows.
    """
    await connection.execute(LOCK)
    wearers = await _find_wearers(connection, viewer, {wearer_id(row.record.wearer_reference) for row in rows})
    refused = [_unknown_wearer(line) for line, posted in rows if wearer_id(posted.wearer_reference) not in wearers]
    bad_lines = {error.line for error in refused}
    posted = {line: _licence_of(each) for line, each in rows if line not in bad_lines}
    known = await _find_revisions(connection, viewer, {licence.licence_ref for licence in posted.values()})
    outcomes, errors, new = sort_out(posted, known)
    # A correction can name another person: the one before is concerned too.
    corrected = {licence.licence_ref for licence in new}
    concerned = {each.wearer_id for each in (*known.values(), *new) if each.licence_ref in corrected}
    before = await find_periods(connection, concerned)
    await _insert(connection, viewer, new)
    after = await find_periods(connection, concerned)
    touched = [Touch(each, *change) for each in sorted(concerned) for change in find_changes(before[each], after[each])]
    await touch_wearers(connection, touched, "licences")
    await record(connection, viewer, "licences.post", f"stored={len(new)}", concerned)
    stored = [
        StoredLicence(line=line, licence_id=posted[line].licence_ref, revision=posted[line].revision, outcome=outcome)
        for line, outcome in outcomes.items()
    ]
    return Outcome(stored, sorted(refused + errors, key=lambda error: error.line), has_touched=bool(touched))


FIND_WEARERS = """
SELECT wearer_id FROM wearer WHERE $1 IN (registered_by, force_id, probation_id) AND wearer_id = ANY($2::uuid[])
"""


async def _find_wearers(connection: Connection, viewer: Viewer, ids: Iterable[UUID]) -> set[UUID]:
    return {row["wearer_id"] for row in await connection.fetch(FIND_WEARERS, viewer.organisation_id, list(ids))}


def _unknown_wearer(line: int) -> RowError:
    return RowError(
        line=line,
        pointer="/wearer_reference",
        code="unknown_wearer",
        message="your organisation registered or manages no wearer with this reference",
        required_action="Register the wearer first (POST /v1/wearers), have whoever did name your organisation, or "
        "check the reference.",
    )


def _licence_of(posted: PostedLicence) -> Licence:
    return Licence(
        posted.licence_id,
        posted.revision,
        wearer_id(posted.wearer_reference),
        posted.from_at,
        posted.to_at,
        posted.void,
    )


FIND_REVISIONS = """
SELECT licence_ref, revision, wearer_id, from_at, to_at, is_void
FROM licence WHERE organisation_id = $1 AND licence_ref = ANY($2::text[])
"""


async def _find_revisions(
    connection: Connection, viewer: Viewer, references: Iterable[str]
) -> dict[tuple[str, int], Licence]:
    rows = await connection.fetch(FIND_REVISIONS, viewer.organisation_id, list(references))
    return {licence.key: licence for licence in (Licence(*row) for row in rows)}


FIND_PERIODS = """
SELECT wearer_id, range_agg(tstzrange(from_at, to_at)) AS periods
FROM effective_licence WHERE wearer_id = ANY($1::uuid[]) GROUP BY wearer_id
"""


async def find_periods(connection: Connection, wearers: Iterable[UUID]) -> dict[UUID, list[Period]]:
    """Give when each of these wearers is on licence, taken together; none where no licence is known."""
    wanted = list(wearers)
    rows = await connection.fetch(FIND_PERIODS, wanted)
    known = {row["wearer_id"]: periods_of(row["periods"]) for row in rows}
    return {each: known.get(each, []) for each in wanted}


INSERT = """
INSERT INTO licence (organisation_id, api_key_id, licence_ref, revision, wearer_id, from_at, to_at, is_void)
SELECT $1, $2, new.* FROM unnest($3::text[], $4::int[], $5::uuid[], $6::timestamptz[], $7::timestamptz[],
    $8::bool[]) AS new
"""


async def _insert(connection: Connection, viewer: Viewer, new: Sequence[Licence]) -> None:
    columns = [[licence[field] for licence in new] for field in range(len(Licence._fields))]
    await connection.execute(INSERT, viewer.organisation_id, viewer.api_key_id, *columns)
