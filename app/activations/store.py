"""Fittings in the database: kept as received, and from them who wore each device when."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.access.viewer import Viewer
from app.activations.effective import FOREVER, Activation, Effective, Handover, Overlap, derive, find_handovers
from app.activations.schemas import PostedActivation, StoredActivation
from app.audit.store import record
from app.db import Connection
from app.devices.store import find_or_create_devices
from app.matching.due import Touch, touch_wearers
from app.revisions import sort_out
from app.rows import Row, RowError
from app.wearers.store import find_or_create_wearers


class Outcome(NamedTuple):
    """What was stored, what was refused, and which fittings of these devices contradict each other."""

    activations: list[StoredActivation]
    errors: list[RowError]
    overlaps: list[Overlap]
    serials: dict[int, str]  # of the devices that overlaps name
    has_handovers: bool  # something has another wearer than before


# Devices, fittings and their order belong to one contractor, so its posts take turns: a correction that moves a fitting
# to another device and one that follows on it cannot miss each other.
LOCK_CONTRACTOR = "SELECT pg_advisory_xact_lock(hashtextextended('trailmatch.activations', $1))"


async def store_activations(connection: Connection, viewer: Viewer, rows: Sequence[Row[PostedActivation]]) -> Outcome:
    """Store each row, derive anew who wore its device when, and make due again whatever that changes.

    Call it in a transaction. Cost: a dozen statements, whatever the number of rows.
    """
    await connection.execute(LOCK_CONTRACTOR, viewer.organisation_id)
    posted = await _resolve(connection, viewer, rows)
    known = await _find_revisions(connection, viewer, {a.activation_ref for a in posted.values()})
    outcomes, errors, new = sort_out(posted, known)
    await _insert(connection, viewer, new)
    # A correction can move a fitting: the device that it leaves is concerned too.
    moved = {a.activation_ref for a in new}
    devices = {a.device_id for a in (*posted.values(), *known.values()) if a.activation_ref in moved}
    overlaps, handovers = await _derive_again(connection, viewer, devices)
    await _match_again(connection, handovers)
    serials = await _find_serials(connection, sorted({o.device_id for o in overlaps}))
    await record(connection, viewer, "activations.post", f"stored={len(new)}", {a.wearer_id for a in new})
    stored = [
        StoredActivation(
            line=line, activation_id=posted[line].activation_ref, revision=posted[line].revision, outcome=outcome
        )
        for line, outcome in outcomes.items()
    ]
    return Outcome(stored, errors, overlaps, serials, has_handovers=bool(handovers))


async def _resolve(
    connection: Connection, viewer: Viewer, rows: Sequence[Row[PostedActivation]]
) -> dict[int, Activation]:
    """Give each line's activation, with ids in place of what people call things; both are made if need be."""
    devices = await find_or_create_devices(connection, viewer.organisation_id, [r.record.device_id for r in rows])
    wearers = await find_or_create_wearers(connection, [r.record.wearer_reference for r in rows])
    return {
        line: Activation(
            a.activation_id,
            a.revision,
            devices[a.device_id],
            wearers[a.wearer_reference],
            a.fitted_at,
            a.removed_at,
            a.void,
        )
        for line, a in rows
    }


FIND_REVISIONS = """
SELECT activation_ref, revision, device_id, wearer_id, fitted_at, removed_at, is_void
FROM activation WHERE contractor_id = $1 AND activation_ref = ANY($2::text[])
"""


async def _find_revisions(
    connection: Connection, viewer: Viewer, references: Iterable[str]
) -> dict[tuple[str, int], Activation]:
    rows = await connection.fetch(FIND_REVISIONS, viewer.organisation_id, list(references))
    return {(row["activation_ref"], row["revision"]): Activation(*row) for row in rows}


INSERT = """
INSERT INTO activation (contractor_id, api_key_id, activation_ref, revision, device_id, wearer_id, fitted_at,
    removed_at, is_void)
SELECT $1, $2, new.* FROM unnest($3::text[], $4::int[], $5::int[], $6::uuid[], $7::timestamptz[], $8::timestamptz[],
    $9::bool[]) AS new
"""


async def _insert(connection: Connection, viewer: Viewer, new: Sequence[Activation]) -> None:
    columns = [[a[field] for a in new] for field in range(len(Activation._fields))]
    await connection.execute(INSERT, viewer.organisation_id, viewer.api_key_id, *columns)


# Every revision of every fitting that was ever on one of these devices, also where a later one puts it elsewhere.
FIND_CONCERNED = """
SELECT activation_ref, revision, device_id, wearer_id, fitted_at, removed_at, is_void
FROM activation
WHERE contractor_id = $1 AND activation_ref IN (SELECT activation_ref FROM activation WHERE device_id = ANY($2::int[]))
"""

FIND_EFFECTIVE = """
SELECT device_id, from_at, nullif(to_at, 'infinity') AS to_at, wearer_id, activation_ref, revision, is_cut_short
FROM effective_activation WHERE device_id = ANY($1::int[]) ORDER BY device_id, from_at
"""

DELETE_EFFECTIVE = "DELETE FROM effective_activation WHERE device_id = ANY($1::int[])"

INSERT_EFFECTIVE = """
INSERT INTO effective_activation (contractor_id, device_id, from_at, to_at, wearer_id, activation_ref, revision,
    is_cut_short)
SELECT $1, new.* FROM unnest($2::int[], $3::timestamptz[], $4::timestamptz[], $5::uuid[], $6::text[], $7::int[],
    $8::bool[]) AS new
"""


async def _derive_again(
    connection: Connection, viewer: Viewer, devices: set[int]
) -> tuple[list[Overlap], list[Handover]]:
    """Write who wore these devices when, where that has changed."""
    if not devices:
        return [], []
    received = await connection.fetch(FIND_CONCERNED, viewer.organisation_id, list(devices))
    everywhere, overlaps = derive(Activation(*row) for row in received)
    after = [e for e in everywhere if e.device_id in devices]
    before = [
        Effective(*row)._replace(to_at=row["to_at"] or FOREVER)
        for row in await connection.fetch(FIND_EFFECTIVE, list(devices))
    ]
    changed = sorted({e.device_id for e in set(before) ^ set(after)})
    rewritten = [e for e in after if e.device_id in changed]
    await connection.execute(DELETE_EFFECTIVE, changed)
    columns = [[e[field] for e in rewritten] for field in range(len(Effective._fields))]
    await connection.execute(INSERT_EFFECTIVE, viewer.organisation_id, *columns)
    return [o for o in overlaps if o.device_id in devices], find_handovers(before, after)


INSERT_REJOINS = """
INSERT INTO rejoin (device_id, from_at, to_at) SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[])
"""


async def _match_again(connection: Connection, handovers: Sequence[Handover]) -> None:
    """Let these stretches be joined for their new wearers, and what was found for old and new be evaluated again."""
    await connection.execute(
        INSERT_REJOINS,
        [h.device_id for h in handovers],
        [h.from_at for h in handovers],
        [h.to_at for h in handovers],
    )
    await touch_wearers(
        connection,
        [
            Touch(wearer_id, h.from_at, h.to_at)
            for h in handovers
            for wearer_id in (h.before, h.after)
            if wearer_id is not None
        ],
        "fittings",
    )


FIND_SERIALS = "SELECT device_id, serial FROM device WHERE device_id = ANY($1::int[])"


async def _find_serials(connection: Connection, devices: list[int]) -> dict[int, str]:
    rows = await connection.fetch(FIND_SERIALS, devices)
    return {row["device_id"]: row["serial"] for row in rows}
