"""The incidents that pings are joined with: all that are not withdrawn, as arrays in memory."""

from typing import NamedTuple
from uuid import UUID

import asyncpg
import numpy as np
import numpy.typing as npt

from app.db import Connection
from app.matching.profiles import find_profiles
from app.times import to_us
from matcher.context import Incident, context_bounds, padded_window
from matcher.incidents import Incidents
from matcher.index import IncidentGrid, incident_grid
from matcher.join import Between
from matcher.profile import Profile

Longs = npt.NDArray[np.int64]

# Every column of an open incident; about 60 bytes.
_ROW = np.dtype(
    [
        ("lon_deg", "f8"),
        ("lat_deg", "f8"),
        ("radius_m", "f8"),  # of the candidate circle, margin included
        ("from_us", "i8"),  # padding included, as to_us
        ("to_us", "i8"),
        ("context_from_us", "i8"),
        ("context_to_us", "i8"),
    ]
)
_FIRST_CAPACITY = 1024
_HOUR_US = 3_600_000_000


class Selection(NamedTuple):
    """Some open incidents, ready to be joined."""

    incident_id: list[UUID]
    incidents: Incidents
    context_from_us: Longs
    context_to_us: Longs
    grid: IncidentGrid | None = None  # of the incidents, where they are joined again and again

    def take(self, rows: npt.NDArray[np.intp]) -> "Selection":
        """Select some of these again."""
        incidents = self.incidents
        return Selection(
            [self.incident_id[row] for row in rows],
            Incidents(
                incidents.lon_deg[rows],
                incidents.lat_deg[rows],
                incidents.radius_m[rows],
                incidents.from_us[rows],
                incidents.to_us[rows],
            ),
            self.context_from_us[rows],
            self.context_to_us[rows],
        )


class OpenIncidents:
    """Grows with the incidents ever published; a new version takes the place of the one before.

    Not for two tasks at once: each stage of the matcher keeps its own, and brings it up to date after each claim,
    before it reads the pings.
    """

    def __init__(self) -> None:
        self._last_publish_seq = 0
        self._rows = np.empty(_FIRST_CAPACITY, dtype=_ROW)
        self._incident_id: list[UUID] = []
        self._slot: dict[UUID, int] = {}
        self._profiles: dict[int, Profile] = {}
        self._kept: tuple[tuple[int, int], Selection] | None = None

    def __len__(self) -> int:
        return len(self._incident_id)

    async def refresh(self, connection: Connection) -> None:
        """Take in every version that was published since the last time and that the connection's snapshot sees."""
        rows = await connection.fetch(PUBLISHED, self._last_publish_seq)
        unknown = {row["profile_id"] for row in rows} - self._profiles.keys()
        if unknown:
            found = await find_profiles(connection, sorted(unknown))
            self._profiles.update({profile_id: stored.profile for profile_id, stored in found.items()})
        for row in rows:
            if row["is_withdrawn"]:
                self._remove(row["incident_id"])
            else:
                profile = self._profiles[row["profile_id"]]
                self._put(row["incident_id"], incident_of(row), profile)
            self._last_publish_seq = row["publish_seq"]

    def between(self) -> Between:
        """Give the loosest rule for lines between pings of all profiles; each pair is judged by its own later."""
        return Between(
            max((p.max_gap_s for p in self._profiles.values()), default=300.0),
            max((p.max_speed_mps for p in self._profiles.values()), default=60.0),
        )

    def meeting(self, from_us: int, to_us: int) -> Selection:
        """Select the incidents whose padded window meets the full hours about this stretch of time, with their grid.

        Kept until an incident changes or other hours are asked about: most pings are of the same hours as those before.
        """
        hours = from_us // _HOUR_US, to_us // _HOUR_US
        if self._kept is None or self._kept[0] != hours:
            rows = self._rows[: len(self)]
            meets = (rows["from_us"] < (hours[1] + 1) * _HOUR_US) & (rows["to_us"] >= hours[0] * _HOUR_US)
            selection = self._select(np.flatnonzero(meets))
            self._kept = hours, selection._replace(grid=incident_grid(selection.incidents))
        return self._kept[1]

    def of(self, incident_ids: list[UUID]) -> Selection:
        """Select incidents by id; those that are not open are left out."""
        return self._select(np.array([self._slot[i] for i in incident_ids if i in self._slot], dtype=np.int64))

    def _select(self, slots: Longs) -> Selection:
        rows = self._rows[slots]
        incidents = Incidents(
            *(np.ascontiguousarray(rows[name]) for name in ("lon_deg", "lat_deg", "radius_m", "from_us", "to_us"))
        )
        ids = [self._incident_id[slot] for slot in slots]
        return Selection(ids, incidents, rows["context_from_us"], rows["context_to_us"])

    def _put(self, incident_id: UUID, incident: Incident, profile: Profile) -> None:
        self._kept = None
        slot = self._slot.setdefault(incident_id, len(self))
        if slot == len(self):
            self._incident_id.append(incident_id)
            if slot == self._rows.size:
                self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        when, bounds = padded_window(incident, profile), context_bounds(incident, profile)
        self._rows[slot] = (
            incident.lon_deg,
            incident.lat_deg,
            profile.circle(incident.offence).radius_m + profile.candidate_margin_m,
            when.start_us,
            when.end_us,
            bounds.history_from_us,
            bounds.to_us,
        )

    def _remove(self, incident_id: UUID) -> None:
        """Let the last incident take the place of one that is withdrawn."""
        self._kept = None
        slot = self._slot.pop(incident_id, None)
        if slot is None:
            return
        last = self._incident_id.pop()
        if last != incident_id:
            self._incident_id[slot] = last
            self._slot[last] = slot
            self._rows[slot] = self._rows[len(self)]


# Numbers are drawn under a lock that is held to commit, so none below the highest one seen can appear later.
PUBLISHED = """
SELECT publish_seq, incident_id, offence, from_at, to_at, lon_deg, lat_deg, position_r95_m, is_withdrawn, profile_id
FROM incident_version WHERE publish_seq > $1 ORDER BY publish_seq
"""


def incident_of(row: asyncpg.Record) -> Incident:
    """Make the incident that is judged from a row of incident_version."""
    return Incident(
        row["lon_deg"],
        row["lat_deg"],
        row["offence"],
        to_us(row["from_at"]),
        to_us(row["to_at"]),
        row["position_r95_m"],
    )
