"""What a run ended in: the clients' log against SQL, and what was told twice."""

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np

from app.db import Connection
from app.matching.canonical import read_canonical
from app.trails.reading import ALL_COLUMNS
from app.trails.store import Stretches, read_pings
from benchmarks.chaos.callers import Log
from benchmarks.chaos.receiver import ENDPOINTS, Received


class Ending(NamedTuple):
    """Counts, and the canonical state."""

    state: bytes
    matches: int
    alerts: int
    lost: Counter[str]  # acknowledged, or raised, and not there
    repeated: Counter[str]  # there, or told, more than once
    disordered: int  # webhooks that came before an earlier one of their alert was acknowledged


COUNT_MATCHES = "SELECT count(*) FROM match WHERE is_live"
COUNT_ALERTS = "SELECT count(*) FROM alert"
CONFLICTS = """
SELECT d.serial, (extract(epoch FROM fixed_at) * 1000000)::bigint, lon_e7, lat_e7
FROM ping_conflict JOIN device d USING (device_id)
"""
INCIDENTS = "SELECT i.reference, v.version FROM incident_version v JOIN incident i USING (incident_id)"
ACTIVATIONS = "SELECT activation_ref, revision FROM activation"
EVENTS = "SELECT event_ref, revision FROM device_event"
DECISIONS = "SELECT decision_id::text, alert_id::text, text FROM decision"
POSITIONS = "SELECT position FROM outbox"
RAISED = "SELECT count(*) FILTER (WHERE kind = 'raised') FROM alert_revision GROUP BY alert_id"
EVENTS_PLACED = "SELECT event_id::text, alert_id::text, position FROM outbox WHERE position IS NOT NULL"
UNPLACED = "SELECT count(*) FROM outbox WHERE position IS NULL"


async def read_ending(connection: Connection, log: Log, received: list[Received]) -> Ending:
    """Compare what clients were told with what is stored."""
    stored = await _read_fixes(connection)
    fixes = set(stored) | {tuple(row) for row in await connection.fetch(CONFLICTS)}
    lost, repeated = Counter[str](), Counter[str]()
    lost["pings"] = len({_fix_of(ping) for ping in log.pings} - fixes)
    repeated["pings"] = len(stored) - len({fix[:2] for fix in stored})
    for kind, told, statement in (
        ("incidents", log.incidents, INCIDENTS),
        ("activations", log.activations, ACTIVATIONS),
        ("events", log.events, EVENTS),
        ("decisions", log.decisions, DECISIONS),
    ):
        there = {tuple(row) for row in await connection.fetch(statement)}
        lost[kind] = len(set(told) - there)
        if kind == "decisions":  # one that nobody was told of would be one made twice
            repeated[kind] = len(there) - len({text for *_, text in there})
    raised = [row[0] for row in await connection.fetch(RAISED)]
    lost["alerts"] = raised.count(0) + await connection.fetchval(UNPLACED)
    repeated["alerts"] = sum(times > 1 for times in raised)
    heard = [event.position for event in log.heard]
    lost["stream"] = len({row[0] for row in await connection.fetch(POSITIONS)} - set(heard))
    repeated["stream"] = len(heard) - len(set(heard))
    events = {event_id: (alert_id, position) for event_id, alert_id, position in await connection.fetch(EVENTS_PLACED)}
    acknowledged = {(each.endpoint, each.event_id) for each in received if each.was_acknowledged}
    lost["webhooks"] = ENDPOINTS * len(events) - len(acknowledged)
    # Sent twice is as promised; with other words, or of an event that is not there, it is another message.
    repeated["webhooks"] = len({(each.event_id, each.body) for each in received}) - len(events)
    return Ending(
        await read_canonical(connection),
        await connection.fetchval(COUNT_MATCHES),
        await connection.fetchval(COUNT_ALERTS),
        lost,
        repeated,
        count_disordered(received, events),
    )


def count_disordered(received: list[Received], events: dict[str, tuple[str, int]]) -> int:
    """Count what an endpoint got before it had acknowledged all earlier events of the same alert.

    `events` gives of each event its alert and its position on the stream.
    """
    places = defaultdict[str, list[tuple[int, str]]](list)
    for event_id, (alert_id, position) in sorted(events.items(), key=lambda event: event[1][1]):
        places[alert_id].append((position, event_id))
    acknowledged = set[tuple[int, str]]()
    disordered = 0
    for each in received:
        earlier = (event_id for position, event_id in places[each.alert_id] if position < each.position)
        disordered += any((each.endpoint, event_id) not in acknowledged for event_id in earlier)
        if each.was_acknowledged:
            acknowledged.add((each.endpoint, each.event_id))
    return disordered


def _fix_of(ping: dict[str, object]) -> tuple[object, ...]:
    return (
        ping["device_id"],
        ping["fixed_at_us"],
        round(float(str(ping["lon"])) * 1e7),
        round(float(str(ping["lat"])) * 1e7),
    )


async def _read_fixes(connection: Connection) -> list[tuple[object, ...]]:
    """Every stored fix as readers find it: serial, time, position."""
    serials = {
        row["device_id"]: row["serial"] for row in await connection.fetch("SELECT device_id, serial FROM device")
    }
    always = np.zeros(len(serials), np.int64), np.full(len(serials), 4_000_000_000_000_000)
    found = await read_pings(connection, Stretches(np.array(sorted(serials), np.int32), *always))
    columns = [found.values[ALL_COLUMNS.index(name)].tolist() for name in ("fixed_at_us", "lon_e7", "lat_e7")]
    return list(zip((serials[device] for device in found.device_id.tolist()), *columns, strict=True))
