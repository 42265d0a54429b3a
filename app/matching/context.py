"""The context of pairs: all that the evaluation of an incident and a wearer may depend on, read in one snapshot.

First what is known of a pair but its positions (`read_cases`), then the positions about the window (`read_contexts`),
then, for the few that need it, those of the days before (`read_histories`): each in one or two statements for many
pairs, because what a pair takes is mostly the way there and back.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import numpy as np

from app.db import Connection
from app.licences.periods import Period, periods_of
from app.matching.clock import comparable_days
from app.matching.open_incidents import incident_of
from app.matching.positions import Fitted, Positions, Span, read_positions
from app.matching.profiles import StoredProfile
from app.matching.stretches import PART_US
from app.times import to_datetime, to_us
from matcher.context import (
    FLANK,
    Context,
    ContextBounds,
    Events,
    Fittings,
    History,
    Incident,
    context_bounds,
    fixes_of,
    history_stretches,
    padded_window,
)
from matcher.profile import profile_from
from matcher.trails import Longs

# On either side of the padded window there are FLANK fixes within so long, if the tag reports once a minute.
_BESIDE_US: Final = 3_600_000_000


class Pair(NamedTuple):
    """An incident and a wearer."""

    incident_id: UUID
    wearer_id: UUID


class Case(NamedTuple):
    """A pair, what it is called, and all that is known of it but positions, as it stood in the snapshot."""

    pair: Pair
    force: str
    incident_reference: str
    wearer_reference: str
    version: int
    is_withdrawn: bool
    incident: Incident
    profile: StoredProfile
    bounds: ContextBounds
    fitted: Fitted
    events: Events
    contradicted_us: Longs  # rising: where fixes of one tag, time and source differ, between `bounds`
    licence_us: Longs | None  # (L, 2) as in `Context`, of all time


# A pair's place among those asked for is its order. The settings of a profile come with the first pair that it judges.
PAIRS = """
SELECT pair.incident_id, pair.wearer_id, o.code AS force, i.reference, w.reference AS wearer, v.version, v.is_withdrawn,
    v.offence, v.from_at, v.to_at, v.lon_deg, v.lat_deg, v.position_r95_m, p.profile_id, p.name, p.version AS revision,
    CASE WHEN row_number() OVER (PARTITION BY p.profile_id ORDER BY pair.place) = 1 THEN p.settings END AS settings,
    (SELECT range_agg(tstzrange(l.from_at, l.to_at)) FROM effective_licence AS l WHERE l.wearer_id = pair.wearer_id)
        AS licence
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS pair (incident_id, wearer_id, place)
JOIN incident i ON i.incident_id = pair.incident_id
JOIN organisation o ON o.organisation_id = i.force_id
JOIN incident_version v ON v.incident_id = i.incident_id AND v.version = i.latest_version
JOIN profile p ON p.profile_id = v.profile_id
JOIN wearer w ON w.wearer_id = pair.wearer_id
ORDER BY pair.place
"""


async def read_cases(connection: Connection, pairs: Sequence[Pair]) -> list[Case]:
    """Read all but the positions of pairs, in their order; the connection is in a snapshot that all statements share.

    Cost: two statements, whatever the number of pairs.
    """
    rows = await connection.fetch(PAIRS, [p.incident_id for p in pairs], [p.wearer_id for p in pairs])
    profiles = {
        row["profile_id"]: StoredProfile(row["profile_id"], row["revision"], profile_from(row["name"], row["settings"]))
        for row in rows
        if row["settings"] is not None
    }
    incidents = [incident_of(row) for row in rows]
    bounds = [
        context_bounds(incident, profiles[row["profile_id"]].profile)
        for incident, row in zip(incidents, rows, strict=True)
    ]
    worn = await _read_worn(connection, pairs, bounds)
    return [
        Case(
            pair,
            row["force"],
            row["reference"],
            row["wearer"],
            row["version"],
            row["is_withdrawn"],
            incident,
            profiles[row["profile_id"]],
            of_pair,
            *known,
            _licence_us(periods_of(row["licence"])),
        )
        for pair, row, incident, of_pair, known in zip(pairs, rows, incidents, bounds, worn, strict=True)
    ]


def _licence_us(periods: Sequence[Period]) -> Longs | None:
    """Give licences as a context has them: the instant that ends a period is the first one outside it."""
    moments = [(to_us(each.from_at), to_us(each.to_at) - 1) for each in periods]
    return np.array(moments, np.int64) if moments else None


# Two fittings of one device are two rows, for in between somebody else may have worn it. One ends before the instant at
# which the next begins. With each what the tag said of itself, and where fixes of one time and source differ.
WORN = """
SELECT (c.place - 1)::int AS pair, a.device_id, o.code AS contractor, worn.from_at, worn.to_at,
    event.at, event.kind, ARRAY(
        SELECT DISTINCT fixed_at FROM ping_conflict
        WHERE device_id = a.device_id AND fixed_at BETWEEN greatest(worn.from_at, c.near_from_at) AND worn.to_at
    ) AS contradicted
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[]) WITH ORDINALITY
    AS c (wearer_id, from_at, near_from_at, to_at, place)
JOIN effective_activation AS a ON a.wearer_id = c.wearer_id AND a.from_at <= c.to_at AND a.to_at > c.from_at
JOIN organisation AS o ON o.organisation_id = a.contractor_id
JOIN device AS d ON d.device_id = a.device_id
CROSS JOIN LATERAL (
    SELECT greatest(a.from_at, c.from_at) AS from_at, least(a.to_at - interval '1 microsecond', c.to_at) AS to_at
) AS worn
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(at ORDER BY at, kind), '{}') AS at,
        coalesce(array_agg(kind ORDER BY at, kind), '{}') AS kind
    FROM effective_device_event WHERE device_id = a.device_id AND at BETWEEN worn.from_at AND worn.to_at
) AS event
ORDER BY c.place, o.code, d.serial, a.from_at -- not by an id of ours, in which the order of arrival has a part
"""


class _Worn(NamedTuple):
    """What is known of a wearer's tags but positions."""

    fitted: Fitted
    events: Events
    contradicted_us: Longs


async def _read_worn(connection: Connection, pairs: Sequence[Pair], bounds: list[ContextBounds]) -> list[_Worn]:
    rows = await connection.fetch(
        WORN,
        [pair.wearer_id for pair in pairs],
        [to_datetime(b.history_from_us) for b in bounds],
        [to_datetime(b.from_us) for b in bounds],
        [to_datetime(b.to_us) for b in bounds],
    )
    return [_worn_of(rows[a:b]) for a, b in _runs([row["pair"] for row in rows], len(pairs))]


def _worn_of(rows: list[asyncpg.Record]) -> _Worn:
    fittings = Fittings(
        np.array([to_us(row["from_at"]) for row in rows], np.int64),
        np.array([to_us(row["to_at"]) for row in rows], np.int64),
        tuple(row["contractor"] for row in rows),
    )
    fitted = Fitted(np.array([row["device_id"] for row in rows], np.int64), fittings)
    events = sorted(
        (at, kind, place) for place, row in enumerate(rows) for at, kind in zip(row["at"], row["kind"], strict=True)
    )
    contradicted = {to_us(at) for row in rows for at in row["contradicted"]}
    return _Worn(
        fitted,
        Events(
            np.array([to_us(at) for at, _, _ in events], np.int64),
            tuple(kind for _, kind, _ in events),
            np.array([place for _, _, place in events], np.int32),
        ),
        np.array(sorted(contradicted), np.int64),
    )


def _runs(places: list[int], count: int) -> Iterator[tuple[int, int]]:
    """Give for each of so many places the run of rows that name it, in rows that rise by place."""
    return pairwise(np.searchsorted(np.array(places, np.int64), np.arange(count + 1)).tolist())


def pieces_of(cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
    """Part cases, in their order, so that what is read for each part at once takes bounded memory."""
    lengths_us = [case.bounds.to_us - case.bounds.from_us for case in cases]
    part = np.cumsum(np.array(lengths_us, np.int64)) // PART_US
    for rows in np.split(np.arange(len(cases)), np.flatnonzero(part[1:] != part[:-1]) + 1):
        if rows.size:
            yield cases[rows[0] : rows[-1] + 1]


async def read_contexts(connection: Connection, cases: Sequence[Case]) -> list[Context]:
    """Read the positions about the windows of cases, in their order, and where fixes of one time contradict each other.

    Of the half day on either side of a window only FLANK moments with fixes play a part, so first an hour is read, and
    the rest only where that does not hold as many. Cost: a statement, or two.
    """
    fitted = [case.fitted for case in cases]
    near = [_near(case) for case in cases]
    spans = [[span] for span in near]
    found = await read_positions(connection, fitted, spans)
    beyond = [_beyond(*one) for one in zip(cases, near, found, strict=True)]
    if any(beyond):
        further = await read_positions(connection, fitted, beyond)
        found = [one.with_more(other) for one, other in zip(found, further, strict=True)]
        spans = [one + other for one, other in zip(spans, beyond, strict=True)]
    return [
        Context(
            positions.pings(),
            case.fitted.fittings,
            case.events,
            _within(each, case.contradicted_us),
            case.licence_us,
            history=None,
        )
        for case, positions, each in zip(cases, found, spans, strict=True)
    ]


def _within(spans: Sequence[Span], times_us: Longs) -> Longs:
    """Give the times that lie in one of the spans."""
    is_within = np.zeros(times_us.size, np.bool_)
    for span in spans:
        is_within |= (times_us >= span.from_us) & (times_us <= span.to_us)
    return times_us[is_within]


def _near(case: Case) -> Span:
    when = padded_window(case.incident, case.profile.profile)
    return Span(
        max(when.start_us - _BESIDE_US, case.bounds.from_us),
        min(when.end_us + _BESIDE_US, case.bounds.to_us),
    )


def _beyond(case: Case, near: Span, found: Positions) -> list[Span]:
    """Give what else has to be read on the sides of a window where too few fixes were found."""
    when = padded_window(case.incident, case.profile.profile)
    times_us = np.sort(found.fixed_at_us)
    moments_us = times_us[np.append(True, times_us[1:] > times_us[:-1])] if times_us.size else times_us
    spans = list[Span]()
    if near.from_us > case.bounds.from_us and np.count_nonzero(moments_us < when.start_us) < FLANK:
        spans.append(Span(case.bounds.from_us, near.from_us - 1))
    if near.to_us < case.bounds.to_us and np.count_nonzero(moments_us > when.end_us) < FLANK:
        spans.append(Span(near.to_us + 1, case.bounds.to_us))
    return spans


def history_pieces_of(cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
    """As `pieces_of`, for histories."""
    part_us, piece = 0, list[Case]()
    for case in cases:
        spans = history_spans(case)
        length_us = int((spans[:, 1] - spans[:, 0]).sum())
        if piece and part_us + length_us > PART_US:
            yield piece
            part_us, piece = 0, []
        part_us += length_us
        piece.append(case)
    if piece:
        yield piece


async def read_histories(connection: Connection, cases: Sequence[Case]) -> list[History]:
    """Read the positions of cases on the comparable days before, in their order, in one statement."""
    found = await read_positions(connection, [case.fitted for case in cases], [history_spans(case) for case in cases])
    return [
        History(fixes_of(positions.pings(), case.fitted.fittings.contractor, case.profile.profile), _shifts_us(case))
        for case, positions in zip(cases, found, strict=True)
    ]


def history_spans(case: Case) -> Longs:
    """Give the stretches of time that a case's history is read for, (S, 2)."""
    return history_stretches(case.incident, case.profile.profile, _shifts_us(case))


def _shifts_us(case: Case) -> Longs:
    when = padded_window(case.incident, case.profile.profile)
    return comparable_days(when.start_us, when.end_us, case.profile.profile.history_days)
