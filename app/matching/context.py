"""The context of pairs: all that the evaluation of an incident and a wearer may depend on, read in one snapshot."""

from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

import numpy as np

from app.columns import copy_rows_out
from app.db import Connection
from app.matching.open_incidents import incident_of
from app.matching.profiles import StoredProfile, find_profiles
from app.times import to_datetime
from app.trails.store import probe_by_key
from matcher.evidence import Incident, Reach, reach
from matcher.trails import Trails, trails_from_columns


class Pair(NamedTuple):
    """An incident and a wearer."""

    incident_id: UUID
    wearer_id: UUID


class Context(NamedTuple):
    """Everything for one pair, as it stood in the snapshot."""

    pair: Pair
    force: str
    incident_reference: str
    wearer_reference: str
    version: int
    is_withdrawn: bool
    incident: Incident
    profile: StoredProfile
    reach: Reach
    trails: Trails  # one for each fitting of a device to this wearer


INCIDENTS = """
SELECT i.incident_id, o.code AS force, i.reference, v.version, v.is_withdrawn, v.offence, v.from_at, v.to_at,
    v.lon_deg, v.lat_deg, v.profile_id
FROM incident i
JOIN organisation o ON o.organisation_id = i.force_id
JOIN incident_version v ON v.incident_id = i.incident_id AND v.version = i.latest_version
WHERE i.incident_id = ANY($1::uuid[])
"""
WEARERS = "SELECT wearer_id, reference FROM wearer WHERE wearer_id = ANY($1::uuid[])"


async def read_contexts(connection: Connection, pairs: list[Pair]) -> list[Context]:
    """Read the contexts of pairs, in their order; the connection is in a snapshot that all statements share."""
    incidents = {r["incident_id"]: r for r in await connection.fetch(INCIDENTS, [p.incident_id for p in pairs])}
    wearers = {r["wearer_id"]: r["reference"] for r in await connection.fetch(WEARERS, [p.wearer_id for p in pairs])}
    profiles = await find_profiles(connection, sorted({row["profile_id"] for row in incidents.values()}))
    judged = {i: incident_of(row) for i, row in incidents.items()}
    reaches = [reach(judged[p.incident_id], profiles[incidents[p.incident_id]["profile_id"]].profile) for p in pairs]
    trails = await _read_trails(connection, pairs, reaches)
    return [
        Context(
            pair,
            incidents[pair.incident_id]["force"],
            incidents[pair.incident_id]["reference"],
            wearers[pair.wearer_id],
            incidents[pair.incident_id]["version"],
            incidents[pair.incident_id]["is_withdrawn"],
            judged[pair.incident_id],
            profiles[incidents[pair.incident_id]["profile_id"]],
            pair_reach,
            pair_trails,
        )
        for pair, pair_reach, pair_trails in zip(pairs, reaches, trails, strict=True)
    ]


_PING = np.dtype(
    [("pair", "i4"), ("fitting", "i8"), ("fixed_at", "M8[us]"), ("lon_e7", "i4"), ("lat_e7", "i4")],
)

# A fitting is a row of effective_activation: two fittings of one device are two trails, for in between somebody else
# may have worn it. The bounds at the end repeat the join's, so that the planner leaves other days' partitions out.
READ_TRAILS = """
SELECT (c.ordinal - 1)::int AS pair, a.fitting, p.fixed_at, p.lon_e7, p.lat_e7
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS c (wearer_id, from_at, to_at, ordinal)
JOIN LATERAL (
    SELECT device_id, from_at, to_at, row_number() OVER (ORDER BY device_id, from_at) AS fitting
    FROM effective_activation WHERE wearer_id = c.wearer_id AND from_at <= c.to_at AND to_at > c.from_at
) AS a ON true
JOIN ping p ON p.device_id = a.device_id
    AND p.fixed_at >= greatest(a.from_at, c.from_at) AND p.fixed_at < a.to_at AND p.fixed_at <= c.to_at
WHERE p.fixed_at BETWEEN $4 AND $5
"""


async def _read_trails(connection: Connection, pairs: list[Pair], reaches: list[Reach]) -> list[Trails]:
    if not pairs:
        return []
    await probe_by_key(connection)
    rows = await copy_rows_out(
        connection,
        READ_TRAILS,
        [pair.wearer_id for pair in pairs],
        [to_datetime(r.from_us) for r in reaches],
        [to_datetime(r.to_us) for r in reaches],
        to_datetime(min(r.from_us for r in reaches)),
        to_datetime(max(r.to_us for r in reaches)),
        dtype=_PING,
    )
    rows = rows[np.argsort(rows["pair"], kind="stable")]
    bounds = np.searchsorted(rows["pair"], np.arange(len(pairs) + 1))
    return [
        trails_from_columns(part["fitting"], part["fixed_at"].astype(np.int64), part["lon_e7"], part["lat_e7"])
        for part in (rows[a:b] for a, b in pairwise(bounds))
    ]
