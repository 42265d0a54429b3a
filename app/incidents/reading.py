"""Incidents as they are read: by their own force in full, by an administrator without the text."""

from uuid import UUID

import asyncpg

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.errors import NotFound
from app.incidents.schemas import Incident, IncidentHistory, IncidentVersion, Profile

# The place in publishing order of an incident's first version is its place in lists, for good.
LIST = """
SELECT i.incident_id, o.code AS force, i.reference, first.publish_seq AS place, v.version, v.offence, v.from_at,
    v.to_at, v.lon_deg, v.lat_deg, v.easting_m, v.northing_m, v.position_r95_m,
    CASE WHEN i.force_id = $1 THEN v.text END AS text, v.is_withdrawn, v.changed, v.received_at,
    p.name AS profile, p.version AS profile_version
FROM incident_version first
JOIN incident i USING (incident_id)
JOIN organisation o ON o.organisation_id = i.force_id
JOIN incident_version v ON v.incident_id = i.incident_id AND v.version = i.latest_version
JOIN profile p ON p.profile_id = v.profile_id
WHERE first.version = 1 AND first.publish_seq > $3
  AND (i.force_id = $1 OR $2)
  AND ($5::text IS NULL OR o.code = $5)
  AND ($6::text IS NULL OR i.reference = $6)
ORDER BY first.publish_seq LIMIT $4
"""


async def list_incidents(
    connection: Connection, viewer: Viewer, after: int, limit: int, force: str | None, reference: str | None
) -> tuple[list[Incident], int]:
    """Give the incidents that the viewer may see, in the order of their first report, and the cursor after them."""
    rows = await connection.fetch(
        LIST, viewer.organisation_id, _sees_every_force(viewer), after, limit, force, reference
    )
    await record(connection, viewer, "incidents.list", f"force={force} reference={reference} after={after}")
    incidents = [
        Incident(incident_id=row["incident_id"], force=row["force"], reference=row["reference"], latest=_version(row))
        for row in rows
    ]
    return incidents, rows[-1]["place"] if rows else after


FIND = """
SELECT o.code AS force, i.reference, v.version, v.offence, v.from_at, v.to_at, v.lon_deg, v.lat_deg, v.easting_m,
    v.northing_m, v.position_r95_m, CASE WHEN i.force_id = $1 THEN v.text END AS text, v.is_withdrawn, v.changed,
    v.received_at, p.name AS profile, p.version AS profile_version
FROM incident i
JOIN organisation o ON o.organisation_id = i.force_id
JOIN incident_version v USING (incident_id)
JOIN profile p USING (profile_id)
WHERE i.incident_id = $3 AND (i.force_id = $1 OR $2)
ORDER BY v.version
"""


async def find_incident(connection: Connection, viewer: Viewer, incident_id: UUID) -> IncidentHistory:
    """Give an incident in all its versions. Raises NotFound if there is none, or the viewer may not see it."""
    rows = await connection.fetch(FIND, viewer.organisation_id, _sees_every_force(viewer), incident_id)
    if not rows:
        raise NotFound("There is no incident with this id, or this key may not see it.")
    await record(connection, viewer, "incidents.get", str(incident_id))
    return IncidentHistory(
        incident_id=incident_id,
        force=rows[0]["force"],
        reference=rows[0]["reference"],
        versions=[_version(row) for row in rows],
    )


def _sees_every_force(viewer: Viewer) -> bool:
    """An administrator sees when and where, which is needed to run the service, and never the text."""
    return viewer.kind == "operator" and "admin" in viewer.scopes


def _version(row: asyncpg.Record) -> IncidentVersion:
    return IncidentVersion(
        version=row["version"],
        offence=row["offence"],
        from_at=row["from_at"],
        to_at=row["to_at"],
        lon=row["lon_deg"],
        lat=row["lat_deg"],
        easting=row["easting_m"],
        northing=row["northing_m"],
        position_r95_m=row["position_r95_m"],
        text=row["text"],
        withdrawn=row["is_withdrawn"],
        changed=row["changed"],
        profile=Profile(name=row["profile"], version=row["profile_version"]),
        received_at=row["received_at"],
    )
