"""Device events in the database: kept as received, and whoever wore the device then is evaluated again."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from app.access.viewer import Viewer
from app.activations.store import LOCK_CONTRACTOR
from app.audit.store import record
from app.db import Connection
from app.device_events.schemas import PostedDeviceEvent, StoredDeviceEvent
from app.devices.store import find_or_create_devices
from app.matching.due import Touch, find_touched, touch_wearers
from app.revisions import sort_out
from app.rows import Row, RowError


class Event(NamedTuple):
    """One revision of an event, as received."""

    event_ref: str
    revision: int
    device_id: int
    kind: str
    at: datetime
    detail: str | None
    is_void: bool

    @property
    def key(self) -> tuple[str, int]:
        """What names this revision."""
        return self.event_ref, self.revision


class Outcome(NamedTuple):
    """What was stored, and what was refused."""

    events: list[StoredDeviceEvent]
    errors: list[RowError]
    has_touched: bool  # somebody wore one of these devices then


async def store_device_events(
    connection: Connection, viewer: Viewer, rows: Sequence[Row[PostedDeviceEvent]]
) -> Outcome:
    """Store each row, and make due again every pair whose context holds an event that is new, moved or taken back.

    Call it in a transaction. Cost: eight statements, whatever the number of rows.
    """
    # The contractor's fittings wait their turn too: of an event and a fitting at once, the second sees the first.
    await connection.execute(LOCK_CONTRACTOR, viewer.organisation_id)
    posted = await _resolve(connection, viewer, rows)
    known = await _find_revisions(connection, viewer, {event.event_ref for event in posted.values()})
    outcomes, errors, new = sort_out(posted, known)
    await _insert(connection, viewer, new)
    touched = await _find_touched(connection, find_moments(known.values(), new))
    await touch_wearers(connection, touched, "device_events")
    wearers = {touch.wearer_id for touch in touched}
    await record(connection, viewer, "device_events.post", f"stored={len(new)}", wearers)
    stored = [
        StoredDeviceEvent(line=line, event_id=posted[line].event_ref, revision=posted[line].revision, outcome=outcome)
        for line, outcome in outcomes.items()
    ]
    return Outcome(stored, errors, has_touched=bool(touched))


async def _resolve(connection: Connection, viewer: Viewer, rows: Sequence[Row[PostedDeviceEvent]]) -> dict[int, Event]:
    """Give each line's event, with the device's id in place of its serial; unknown devices are made."""
    devices = await find_or_create_devices(connection, viewer.organisation_id, [r.record.device_id for r in rows])
    return {
        line: Event(e.event_id, e.revision, devices[e.device_id], e.kind, e.at, e.detail, e.void) for line, e in rows
    }


FIND_REVISIONS = """
SELECT event_ref, revision, device_id, kind, at, detail, is_void
FROM device_event WHERE contractor_id = $1 AND event_ref = ANY($2::text[])
"""


async def _find_revisions(
    connection: Connection, viewer: Viewer, references: Iterable[str]
) -> dict[tuple[str, int], Event]:
    rows = await connection.fetch(FIND_REVISIONS, viewer.organisation_id, list(references))
    return {event.key: event for event in (Event(*row) for row in rows)}


INSERT = """
INSERT INTO device_event (contractor_id, api_key_id, event_ref, revision, device_id, kind, at, detail, is_void)
SELECT $1, $2, new.* FROM unnest($3::text[], $4::int[], $5::int[], $6::text[], $7::timestamptz[], $8::text[],
    $9::bool[]) AS new
"""


async def _insert(connection: Connection, viewer: Viewer, new: Sequence[Event]) -> None:
    columns = [[event[field] for event in new] for field in range(len(Event._fields))]
    await connection.execute(INSERT, viewer.organisation_id, viewer.api_key_id, *columns)


class Moment(NamedTuple):
    """A device at an instant of which another event is known than before."""

    device_id: int
    at: datetime


def find_moments(known: Iterable[Event], new: Iterable[Event]) -> list[Moment]:
    """Give where and when what counts has changed: an event that moves has changed where it was and where it is."""
    known, new = list(known), list(new)
    before, after = _counting(known), _counting([*known, *new])
    changed = {event.event_ref for event in new if before.get(event.event_ref) != after.get(event.event_ref)}
    concerned = [each[reference] for reference in changed for each in (before, after) if reference in each]
    return sorted({Moment(event.device_id, event.at) for event in concerned})


def _counting(events: Iterable[Event]) -> dict[str, Event]:
    """Give each event as it counts, its revision set to 0: a revision that repeats the one before changes nothing."""
    newest = {event.event_ref: event for event in sorted(events, key=lambda event: event.revision)}
    return {reference: event._replace(revision=0) for reference, event in newest.items() if not event.is_void}


async def _find_touched(connection: Connection, moments: Sequence[Moment]) -> list[Touch]:
    instants = [moment.at for moment in moments]
    return await find_touched(connection, [moment.device_id for moment in moments], instants, instants)
