"""`trailmatch match --evidence`: what each pair of two files is worth, weighed without a database."""

import json
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from app.matching.clock import clock_for, comparable_days
from app.matching.file_columns import BadRow, Columns, Longs
from app.matching.file_rows import (
    ACCURATE_PING_COLUMNS,
    OFFENCE_COLUMNS,
    IncidentRows,
    PingRows,
    incident_rows,
    ping_rows,
)
from app.matching.files import Say, instants
from app.matching.table_files import read_table, write_table
from matcher.context import (
    NO_EVENTS,
    Context,
    Fittings,
    History,
    Incident,
    Pings,
    fixes_of,
    padded_window,
    pings_from_columns,
)
from matcher.evidence import Evidence
from matcher.fixes import Fixes
from matcher.incidents import Incidents
from matcher.join import Between, space_time_join
from matcher.profile import Profile
from matcher.sentence import Said, sentences
from matcher.trails import trails_from_columns
from matcher.weigh import is_alerted, is_match, weigh

# How often progress is said.
_EVERY_PAIRS: Final = 100
_ALWAYS: Final = Fittings(np.array([-(2**62)]), np.array([2**62]), ("",))


class Found(NamedTuple):
    """A match of two files."""

    incident: int  # row of IncidentRows
    device: int  # row of PingRows.device_id
    evidence: Evidence
    is_alerted: bool
    said: Said


class Weighed(NamedTuple):
    """The answer: its numbers, its matches, and the rows of the files that are not in it."""

    pings: int
    pings_of_unknown_width: int  # of them: they state neither accuracy nor source
    incidents: int
    candidates: int
    verdicts: dict[str, int]
    alerted: int
    seconds: float
    matches: list[dict[str, object]]
    bad_rows: list[BadRow]


class Files(NamedTuple):
    """What was read of two files."""

    pings: PingRows
    incidents: IncidentRows
    bad_rows: list[BadRow]


def read_files(pings: str, incidents: str, say: Say) -> Files:
    """Read what is weighed; `say` hears the progress. Raises Failure if a file cannot be read or lacks a column."""
    say("reading pings")
    ping_columns = Columns(read_table(pings, ACCURATE_PING_COLUMNS))
    of_pings = ping_rows(ping_columns)
    say("reading incidents")
    incident_columns = Columns(read_table(incidents, OFFENCE_COLUMNS))
    of_incidents = incident_rows(incident_columns)
    return Files(of_pings, of_incidents, ping_columns.bad_rows + incident_columns.bad_rows)


def weigh_files(pings: str, incidents: str, profile: Profile, threads: int, out: Path | None, say: Say) -> Weighed:
    """Weigh two files and write the matches, sorted by row of the incident and by device; `say` hears the progress.

    Each device is taken for one wearer who had it on all the time. Raises Failure if a file cannot be read or written
    or a column is missing.
    """
    began = time.monotonic()
    of_pings, of_incidents, bad_rows = read_files(pings, incidents, say)
    say("joining")
    candidates = candidates_of(of_pings, of_incidents, profile, threads)
    found = list(weigh_pairs(candidates, of_pings, of_incidents, profile, say))
    found.sort(key=lambda one: (one.incident, of_pings.device_id[one.device].as_py()))
    if out:
        say(f"writing {out}")
        write_table(_table(found, of_pings, of_incidents), out)
    verdicts = [one.evidence.verdict for one in found]
    return Weighed(
        pings=of_pings.fixed_at_us.size,
        pings_of_unknown_width=of_pings.count_of_unknown_width(),
        incidents=of_incidents.from_us.size,
        candidates=len(candidates),
        verdicts={verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
        alerted=sum(one.is_alerted for one in found),
        seconds=round(time.monotonic() - began, 3),
        matches=[_as_object(one, of_pings, of_incidents) for one in found],
        bad_rows=bad_rows,
    )


def candidates_of(pings: PingRows, incidents: IncidentRows, profile: Profile, threads: int) -> list[tuple[int, int]]:
    """Join with the widened circles; gives pairs of device and incident, device by device."""
    windows = [padded_window(_incident(incidents, row), profile) for row in range(len(incidents.offence))]
    radius_m = [profile.circle(offence).radius_m + profile.candidate_margin_m for offence in incidents.offence]
    widened = Incidents(
        incidents.lon_deg,
        incidents.lat_deg,
        np.array(radius_m, np.float64),
        np.array([when.start_us for when in windows], np.int64),
        np.array([when.end_us for when in windows], np.int64),
    )
    trails = trails_from_columns(pings.device, pings.fixed_at_us, pings.lon_e7, pings.lat_e7)
    hits = space_time_join(trails, widened, Between(profile.max_gap_s, profile.max_speed_mps), threads)
    return sorted(zip(trails.device_id[hits.device].tolist(), hits.incident.tolist(), strict=True))


def _incident(incidents: IncidentRows, row: int) -> Incident:
    return Incident(
        float(incidents.lon_deg[row]),
        float(incidents.lat_deg[row]),
        incidents.offence[row],
        int(incidents.from_us[row]),
        int(incidents.to_us[row]),
    )


def weigh_pairs(
    candidates: list[tuple[int, int]], pings: PingRows, incidents: IncidentRows, profile: Profile, say: Say
) -> Iterator[Found]:
    """Weigh the candidates device by device; gives those that are matches."""
    by_device = np.argsort(pings.device, kind="stable")
    starts = np.searchsorted(pings.device[by_device], np.arange(len(pings.device_id) + 1))
    weighed = 0
    for device, pairs in groupby(candidates, key=lambda pair: pair[0]):
        trail = _Trail(_pings_of(pings, by_device[starts[device] : starts[device + 1]]), profile)
        for _, row in pairs:
            if weighed % _EVERY_PAIRS == 0:
                say(f"weighing pair {weighed:,} of {len(candidates):,}")
            weighed += 1
            evidence = trail.weigh(_incident(incidents, row))
            if is_match(evidence, profile):
                yield Found(
                    row,
                    device,
                    evidence,
                    is_alerted(evidence, profile),
                    sentences(evidence, clock_for(evidence.from_us, evidence.to_us)),
                )


class _Trail:
    """One device's pings; its fixes are made ready once, when the days before are first asked for."""

    def __init__(self, pings: Pings, profile: Profile) -> None:
        self._profile = profile
        self._context = Context(pings, _ALWAYS, NO_EVENTS, np.empty(0, np.int64), None, None)
        self._fixes: Fixes | None = None

    def weigh(self, incident: Incident) -> Evidence:
        evidence = weigh(self._context, incident, self._profile)
        if not evidence.needs_history:
            return evidence
        if self._fixes is None:
            self._fixes = fixes_of(self._context.pings, _ALWAYS.contractor, self._profile)
        when = padded_window(incident, self._profile)
        history = History(self._fixes, comparable_days(when.start_us, when.end_us, self._profile.history_days))
        return weigh(self._context._replace(history=history), incident, self._profile)


def _pings_of(pings: PingRows, rows: Longs) -> Pings:
    return pings_from_columns(
        np.zeros(rows.size),
        pings.fixed_at_us[rows],
        pings.lon_e7[rows],
        pings.lat_e7[rows],
        pings.accuracy_cm[rows],
        pings.source[rows],
    )


def _table(found: list[Found], pings: PingRows, incidents: IncidentRows) -> pa.Table:
    """The matches as columns: what a list needs, the sentences, and all the rest as JSON."""
    evidence = [one.evidence for one in found]
    inside = [each.inside for each in evidence]
    chance = [each.chance for each in evidence]
    return pa.table(
        {
            "incident_ref": incidents.incident_ref.take(pa.array([one.incident for one in found], pa.int64())),
            "device_id": pings.device_id.take(pa.array([one.device for one in found], pa.int64())),
            "verdict": pa.array([each.verdict for each in evidence], pa.string()),
            "is_alerted": pa.array([one.is_alerted for one in found], pa.bool_()),
            "n_pings": pa.array([each.n_pings for each in evidence], pa.int64()),
            "min_dist_m": pa.array([each.min_dist_m for each in evidence], pa.float64()),
            "closest_at": _times([each.closest_us for each in evidence]),
            "first_at": _times([each.first_us for each in evidence]),
            "last_at": _times([each.last_us for each in evidence]),
            "inside_s": pa.array([each.inside_s for each in evidence], pa.float64()),
            "highest": pa.array([each and each.highest for each in inside], pa.float64()),
            "ever": pa.array([each and each.ever for each in inside], pa.float64()),
            "at_crime": pa.array([each and each.at_crime for each in inside], pa.float64()),
            "chance_days": pa.array([each and each.days for each in chance], pa.int64()),
            "ratio": pa.array([each and each.ratio for each in chance], pa.float64()),
            "ratio_low": pa.array([each and each.ratio_low for each in chance], pa.float64()),
            "finding": pa.array([one.said.finding for one in found], pa.string()),
            "in_favour": pa.array([" ".join(one.said.in_favour) for one in found], pa.string()),
            "against": pa.array([" ".join(one.said.against) for one in found], pa.string()),
            "evidence": pa.array([json.dumps(each.as_json()) for each in evidence], pa.string()),
        }
    )


def _times(times_us: list[int | None]) -> pa.Array:
    is_time = np.array([us is not None for us in times_us], np.bool_)
    return instants(np.array([us or 0 for us in times_us], np.int64), is_time)


def _as_object(one: Found, pings: PingRows, incidents: IncidentRows) -> dict[str, object]:
    return {
        "incident_ref": incidents.incident_ref[one.incident].as_py(),
        "device_id": pings.device_id[one.device].as_py(),
        "is_alerted": one.is_alerted,
        **one.said._asdict(),
        "evidence": one.evidence.as_json(),
    }
