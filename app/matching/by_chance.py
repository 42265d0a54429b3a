"""`trailmatch match --evidence --moved`: alerts by chance, from the same crimes on other days of the same trails."""

import time
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from app.matching.file_columns import BadRow, Longs
from app.matching.file_evidence import candidates_of, read_files, weigh_pairs
from app.matching.file_rows import IncidentRows
from app.matching.files import Say
from matcher.evidence import TOO_LITTLE
from matcher.profile import Profile

_DAY_US: Final = 86_400_000_000

Bools = npt.NDArray[np.bool_]


class ByChance(NamedTuple):
    """What was counted, and what a service with so many incidents a day must expect of it."""

    pings: int
    pings_of_unknown_width: int  # of them: they state neither accuracy nor source
    incidents: int
    moved: int  # crimes that were weighed on another day
    unmovable: int  # incidents whose window lies on no other day of the pings
    alerts: int
    alerts_with_too_little_history: int  # of them
    incidents_a_day: float  # from the first that is in the file to the last
    alerts_a_day: float
    seconds: float
    bad_rows: list[BadRow]


def count_by_chance(
    pings: str, incidents: str, profile: Profile, times: int, seed: int, threads: int, say: Say
) -> ByChance:
    """Weigh each incident so many times, each on another day of the pings, and count who would be alerted.

    Nothing ties a wearer to a crime that is moved by whole days, the clock's time and the place kept: whatever is
    alerted then is chance. Days are drawn evenly, with repetition, from those whose pings hold the whole window, but
    for the day itself. A day without its days before has too little history, which alerts more: files should hold some
    weeks.

    Raises Failure if a file cannot be read or a column is missing.
    """
    began = time.monotonic()
    of_pings, of_incidents, bad_rows = read_files(pings, incidents, say)
    draw = np.random.default_rng(seed)
    bounds_us = (
        (int(of_pings.fixed_at_us.min()), int(of_pings.fixed_at_us.max())) if of_pings.fixed_at_us.size else (0, 0)
    )
    can_move = _days_to_draw(*_days_at(of_incidents, *bounds_us).T) > 0
    alerts = without_history = 0
    for number in range(times):
        say(f"moving the crimes, time {number + 1:,} of {times:,}")
        moved = _moved(of_incidents, can_move, bounds_us, draw)
        candidates = candidates_of(of_pings, moved, profile, threads)
        for found in weigh_pairs(candidates, of_pings, moved, profile, say):
            alerts += found.is_alerted
            without_history += found.is_alerted and found.evidence.history == TOO_LITTLE
    count, n_moved = len(of_incidents.offence), int(can_move.sum()) * times
    a_day = count / _days(of_incidents)
    return ByChance(
        pings=of_pings.fixed_at_us.size,
        pings_of_unknown_width=of_pings.count_of_unknown_width(),
        incidents=count,
        moved=n_moved,
        unmovable=int((~can_move).sum()),
        alerts=alerts,
        alerts_with_too_little_history=without_history,
        incidents_a_day=round(a_day, 3),
        alerts_a_day=round(alerts / n_moved * a_day, 4) if n_moved else 0.0,
        seconds=round(time.monotonic() - began, 3),
        bad_rows=bad_rows,
    )


def _days_at(incidents: IncidentRows, first_us: int, last_us: int) -> Longs:
    """Give the least and most whole days (I, 2) by which each window can move and then lies within the pings.

    The most is less than the least where it lies there on no day; neither need be on the other side of 0.
    """
    return np.column_stack((-((incidents.from_us - first_us) // _DAY_US), (last_us - incidents.to_us) // _DAY_US))


def _days_to_draw(least: Longs, most: Longs) -> Longs:
    """How many days that are, without the day itself."""
    return np.asarray(np.maximum(most - least + 1 - _holds_itself(least, most), 0), np.int64)


def _holds_itself(least: Longs, most: Longs) -> Bools:
    return (least <= 0) & (most >= 0)


def _moved(
    incidents: IncidentRows,
    can_move: Bools,
    bounds_us: tuple[int, int],
    draw: np.random.Generator,
) -> IncidentRows:
    """Give the incidents that can, each on another day."""
    rows = np.flatnonzero(can_move)
    least, most = _days_at(incidents, *bounds_us)[rows].T
    days = least + draw.integers(0, _days_to_draw(least, most))
    # The day itself is left out: those from it on are one later.
    days += _holds_itself(least, most) & (days >= 0)
    shift_us = days * _DAY_US
    return IncidentRows(
        incidents.incident_ref.take(rows),
        [incidents.offence[row] for row in rows.tolist()],
        incidents.from_us[rows] + shift_us,
        incidents.to_us[rows] + shift_us,
        incidents.lon_deg[rows],
        incidents.lat_deg[rows],
    )


def _days(incidents: IncidentRows) -> float:
    """How many days the incidents are of, at least one."""
    if not incidents.from_us.size:
        return 1.0
    return max(float(incidents.to_us.max() - incidents.from_us.min()) / _DAY_US, 1.0)
