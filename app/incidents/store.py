"""Incidents in the database: every version that was ever posted, published one after the other."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

import asyncpg

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.identity import incident_id
from app.incidents.positions import Position, locate
from app.incidents.schemas import PostedIncident, StoredIncident
from app.matching.profiles import find_newest, list_names
from app.rows import Row, RowError


class State(NamedTuple):
    """Everything of an incident that a post can change; two versions differ if and only if this does."""

    offence: str
    from_at: datetime
    to_at: datetime
    position: Position
    position_r95_m: float | None
    text: str | None
    withdrawn: bool
    profile: str


class Version(NamedTuple):
    """A version that is there, or is about to be."""

    number: int
    state: State


class Outcome(NamedTuple):
    """What was stored, line by line, and what was refused."""

    incidents: list[StoredIncident]
    errors: list[RowError]


async def store_incidents(
    connection: Connection, viewer: Viewer, rows: Sequence[Row[PostedIncident]], default_profile: str
) -> Outcome:
    """Store each row as the first or the next version of its incident, unless it says nothing new.

    Call it in a transaction. Rows of one body take effect in their order, so a reference may come twice. A profile is
    bound by name: a version without one keeps the name before it, and gets that profile's newest version; that alone
    never makes a version. Cost: six statements, whatever the number of rows.
    """
    forces, errors = await _find_forces(connection, viewer, rows)
    positions, out_of_grid = locate([row for row in rows if row.line in forces])
    profile_ids, unknown = await _find_profiles(connection, rows, default_profile)
    errors += out_of_grid + unknown
    refused = {error.line for error in errors}
    accepted = [row for row in rows if row.line not in refused]
    ids = {row.line: incident_id(row.record.force, row.record.reference) for row in accepted}
    await connection.execute(LOCK_PUBLISHING)
    latest = await _find_latest(connection, list(set(ids.values())))
    stored, new = _versions(accepted, ids, positions, latest, default_profile)
    profile_ids |= await _find_ids_of_kept(connection, new, profile_ids)
    await _insert(connection, viewer, new, forces, profile_ids)
    counts = " ".join(f"{outcome}={sum(s.outcome == outcome for s in stored)}" for outcome in ("created", "amended"))
    await record(connection, viewer, "incidents.post", counts)
    return Outcome(stored, sorted(errors, key=lambda error: error.line))


FIND_FORCES = "SELECT organisation_id, code FROM organisation WHERE kind = 'force' AND code = ANY($1::text[])"


async def _find_forces(
    connection: Connection, viewer: Viewer, rows: Sequence[Row[PostedIncident]]
) -> tuple[dict[int, int], list[RowError]]:
    """Give the force's organisation of each line that the viewer may post for, and an error for each other line."""
    if viewer.kind == "operator" and "admin" in viewer.scopes:
        found = await connection.fetch(FIND_FORCES, list({row.record.force for row in rows}))
        known = {row["code"]: row["organisation_id"] for row in found}
    else:
        known = {viewer.organisation: viewer.organisation_id} if viewer.kind == "force" else {}
    forces = {row.line: known[row.record.force] for row in rows if row.record.force in known}
    return forces, [_wrong_force(row.line, viewer) for row in rows if row.line not in forces]


def _wrong_force(line: int, viewer: Viewer) -> RowError:
    if viewer.kind == "operator" and "admin" in viewer.scopes:
        message, action = "there is no such force", "Make the force and a key for it with 'trailmatch key create'."
    else:
        message = f"this key belongs to {viewer.organisation}, a {viewer.kind} organisation"
        action = "Send an incident with a key of its own force."
    return RowError(line=line, pointer="/force", code="wrong_force", message=message, required_action=action)


async def _find_profiles(
    connection: Connection, rows: Sequence[Row[PostedIncident]], default_profile: str
) -> tuple[dict[str, int], list[RowError]]:
    """Give the newest version's id of each profile that is named, and an error for each row that names none we have."""
    named = {row.record.profile for row in rows if row.record.profile is not None}
    found = await find_newest(connection, sorted(named | {default_profile}))
    if default_profile not in found:
        raise LookupError(f"the setting default_profile names {default_profile!r}, which is not stored")
    profile_ids = {name: stored.profile_id for name, stored in found.items()}
    if named <= found.keys():
        return profile_ids, []
    known = ", ".join(await list_names(connection))
    return profile_ids, [
        RowError(
            line=row.line,
            pointer="/profile",
            code="unknown_profile",
            message=f"no profile has this name; known: {known}",
            required_action="Name one of these, or leave the field out.",
        )
        for row in rows
        if row.record.profile is not None and row.record.profile not in found
    ]


# The one lock of publishing: taken before publish_seq is drawn and held to commit, so that numbers become visible in
# their order, and whoever reads `publish_seq > last` misses none. Under it the latest versions do not move either.
LOCK_PUBLISHING = "SELECT pg_advisory_xact_lock(hashtextextended('trailmatch.publish', 0))"

FIND_LATEST = """
SELECT i.incident_id, v.version, v.offence, v.from_at, v.to_at, v.lon_deg, v.lat_deg, v.easting_m, v.northing_m,
    v.position_r95_m, v.text, v.is_withdrawn, p.name AS profile
FROM incident i
JOIN incident_version v ON v.incident_id = i.incident_id AND v.version = i.latest_version
JOIN profile p USING (profile_id)
WHERE i.incident_id = ANY($1::uuid[])
"""


async def _find_latest(connection: Connection, ids: list[UUID]) -> dict[UUID, Version]:
    rows = await connection.fetch(FIND_LATEST, ids)
    return {row["incident_id"]: Version(row["version"], _state_of(row)) for row in rows}


def _state_of(row: asyncpg.Record) -> State:
    return State(
        offence=row["offence"],
        from_at=row["from_at"],
        to_at=row["to_at"],
        position=Position(row["lon_deg"], row["lat_deg"], row["easting_m"], row["northing_m"]),
        position_r95_m=row["position_r95_m"],
        text=row["text"],
        withdrawn=row["is_withdrawn"],
        profile=row["profile"],
    )


class NewVersion(NamedTuple):
    """A version to be inserted."""

    line: int
    incident_id: UUID
    reference: str
    version: Version
    changed: list[str]


def _versions(
    rows: Sequence[Row[PostedIncident]],
    ids: Mapping[int, UUID],
    positions: Mapping[int, Position],
    latest: dict[UUID, Version],
    default_profile: str,
) -> tuple[list[StoredIncident], list[NewVersion]]:
    """Say what becomes of each row, given the latest versions, which move on as rows take effect."""
    stored: list[StoredIncident] = []
    new: list[NewVersion] = []
    for line, posted in rows:
        before = latest.get(ids[line])
        profile = posted.profile or (before.state.profile if before else default_profile)
        state = _posted_state(posted, positions[line], profile)
        changed = _changed(before.state, state) if before else []
        outcome: Literal["created", "amended", "unchanged"] = (
            "created" if before is None else "amended" if changed else "unchanged"
        )
        if before is None or changed:
            latest[ids[line]] = after = Version(before.number + 1 if before else 1, state)
            new.append(NewVersion(line, ids[line], posted.reference, after, changed))
        stored.append(
            StoredIncident(
                line=line,
                incident_id=ids[line],
                force=posted.force,
                reference=posted.reference,
                version=latest[ids[line]].number,
                outcome=outcome,
                changed=changed,
            )
        )
    return stored, new


def _posted_state(posted: PostedIncident, position: Position, profile: str) -> State:
    return State(
        offence=posted.offence,
        from_at=posted.from_at,
        to_at=posted.to_at,
        position=position,
        position_r95_m=posted.position_r95_m,
        text=posted.text,
        withdrawn=posted.withdrawn,
        profile=profile,
    )


def _changed(before: State, after: State) -> list[str]:
    """Name what differs, as it is called on the wire."""
    names = (
        name.removesuffix("_at")
        for name, old, new in zip(State._fields, before, after, strict=True)
        if _delivered(old) != _delivered(new)
    )
    return list(names)


def _delivered(value: object) -> object:
    """What the force sent: for a position on the grid not the degrees, which are ours."""
    if isinstance(value, Position) and value.easting is not None:
        return value.easting, value.northing, "grid"
    return value


async def _find_ids_of_kept(
    connection: Connection, new: Sequence[NewVersion], known: Mapping[str, int]
) -> dict[str, int]:
    """Give the newest version's id of profiles that no row names, but that amended incidents had before."""
    kept = {n.version.state.profile for n in new} - known.keys()
    if not kept:
        return {}
    return {name: stored.profile_id for name, stored in (await find_newest(connection, sorted(kept))).items()}


UPSERT_INCIDENTS = """
INSERT INTO incident (incident_id, force_id, reference, latest_version)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::int[])
ON CONFLICT (incident_id) DO UPDATE SET latest_version = excluded.latest_version
"""

# unnest gives its rows in order, so lines of one body are published in order. Arrays of arrays must be rectangular in
# PostgreSQL, so the changed fields travel as text.
INSERT_VERSIONS = """
INSERT INTO incident_version (publish_seq, api_key_id, incident_id, version, offence, from_at, to_at, lon_deg, lat_deg,
    easting_m, northing_m, position_r95_m, text, is_withdrawn, changed, profile_id)
SELECT nextval('incident_publish_seq'), $1, incident_id, version, offence, from_at, to_at, lon_deg, lat_deg,
    easting_m, northing_m, position_r95_m, text, is_withdrawn, string_to_array(changed, ','), profile_id
FROM unnest($2::uuid[], $3::int[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::float8[], $8::float8[],
    $9::float8[], $10::float8[], $11::float8[], $12::text[], $13::bool[], $14::text[], $15::bigint[])
    AS new (incident_id, version, offence, from_at, to_at, lon_deg, lat_deg, easting_m, northing_m, position_r95_m,
        text, is_withdrawn, changed, profile_id)
"""

INSERT_ARRIVALS = """
INSERT INTO arrival (incident_id, version) SELECT * FROM unnest($1::uuid[], $2::int[])
"""


async def _insert(
    connection: Connection,
    viewer: Viewer,
    new: Sequence[NewVersion],
    forces: Mapping[int, int],
    profile_ids: Mapping[str, int],
) -> None:
    """Write versions, in order, and let the matcher know of them."""
    if not new:
        return
    last = list({n.incident_id: n for n in new}.values())
    states = [n.version.state for n in new]
    ids, numbers = [n.incident_id for n in new], [n.version.number for n in new]
    await connection.execute(
        UPSERT_INCIDENTS,
        [n.incident_id for n in last],
        [forces[n.line] for n in last],
        [n.reference for n in last],
        [n.version.number for n in last],
    )
    await connection.execute(
        INSERT_VERSIONS,
        viewer.api_key_id,
        ids,
        numbers,
        [s.offence for s in states],
        [s.from_at for s in states],
        [s.to_at for s in states],
        [s.position.lon for s in states],
        [s.position.lat for s in states],
        [s.position.easting for s in states],
        [s.position.northing for s in states],
        [s.position_r95_m for s in states],
        [s.text for s in states],
        [s.withdrawn for s in states],
        [",".join(n.changed) for n in new],
        [profile_ids[s.profile] for s in states],
    )
    await connection.execute(INSERT_ARRIVALS, ids, numbers)
