"""The context of pairs: all that the evaluation of an incident and a wearer may depend on, read in one snapshot."""

from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

import numpy as np

from app.db import Connection
from app.matching.open_incidents import incident_of
from app.matching.profiles import StoredProfile, find_profiles
from app.matching.stretches import merged
from app.times import to_datetime, to_us
from app.trails.store import Stretches, read_stretches
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


# A fitting is a row of effective_activation: two fittings of one device are two trails, for in between somebody else
# may have worn it. It ends before the instant at which the next begins.
FITTINGS = """
SELECT (c.place - 1)::int AS pair, a.device_id, greatest(a.from_at, c.from_at) AS from_at,
    least(a.to_at - interval '1 microsecond', c.to_at) AS to_at
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS c (wearer_id, from_at, to_at, place)
JOIN effective_activation AS a ON a.wearer_id = c.wearer_id AND a.from_at <= c.to_at AND a.to_at > c.from_at
ORDER BY c.place, a.device_id, a.from_at
"""


async def _read_trails(connection: Connection, pairs: list[Pair], reaches: list[Reach]) -> list[Trails]:
    """Read the trails of each pair; what several pairs look at is read once."""
    fittings = await connection.fetch(
        FITTINGS,
        [pair.wearer_id for pair in pairs],
        [to_datetime(r.from_us) for r in reaches],
        [to_datetime(r.to_us) for r in reaches],
    )
    stretches = Stretches(
        np.array([row["device_id"] for row in fittings], np.int32),
        np.array([to_us(row["from_at"]) for row in fittings], np.int64),
        np.array([to_us(row["to_at"]) for row in fittings], np.int64),
    )
    stored = await read_stretches(connection, merged(stretches))
    pair_of = np.array([row["pair"] for row in fittings], np.int64)
    bounds = np.searchsorted(pair_of, np.arange(len(pairs) + 1))
    return [_trails_of(stored, stretches, range(a, b)) for a, b in pairwise(bounds)]


def _trails_of(stored: Trails, stretches: Stretches, fittings: range) -> Trails:
    """Cut the trail of each of these fittings out of what was read."""
    parts = [_part(stored, *(int(column[fitting]) for column in stretches)) for fitting in fittings]
    rows = np.concatenate([np.arange(part.start, part.stop) for part in parts]) if parts else np.empty(0, np.int64)
    fitting = np.repeat(np.arange(len(parts)), [part.stop - part.start for part in parts])
    return trails_from_columns(fitting, stored.fixed_at_us[rows], stored.lon_e7[rows], stored.lat_e7[rows])


def _part(stored: Trails, device_id: int, from_us: int, to_us: int) -> slice:
    place = int(np.searchsorted(stored.device_id, device_id))
    if place == stored.device_id.size or stored.device_id[place] != device_id:
        return slice(0, 0)
    start, end = stored.starts[place : place + 2]
    times = stored.fixed_at_us[start:end]
    return slice(int(start + np.searchsorted(times, from_us)), int(start + np.searchsorted(times, to_us, side="right")))
