"""The context of one wearer and one incident: all that their match may depend on, and how far that goes in time."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from matcher.crime_time import CrimeTime, crime_time
from matcher.fixes import Fixes, Floats, fixes_from_columns
from matcher.mobility import WINDOW
from matcher.profile import LEVEL, PRESENCE, SOURCES, Profile
from matcher.trails import Ints, Longs


class Incident(NamedTuple):
    """A reported crime as it is judged; without padding."""

    lon_deg: float
    lat_deg: float
    offence: str
    from_us: int
    to_us: int
    r95_m: float | None = None  # holds its true place in 95 of 100 cases; None: as the profile takes it for the offence


class Pings(NamedTuple):
    """N fixes of one wearer as they are stored, in the order of (time, fitting, source, position)."""

    fitting: Ints  # (N,) row of Fittings: the tag that the wearer had on
    fixed_at_us: Longs  # (N,) microseconds since 1970-01-01 UTC
    lon_e7: Ints  # (N,) 1e-7 degrees east, within 180 degrees
    lat_e7: Ints  # (N,) 1e-7 degrees north, within 90 degrees
    accuracy_cm: Ints  # (N,) radius of the circle it is in; 0 or less is unknown
    source: Ints  # (N,) as it is stored: matcher.profile.SOURCES


class Fittings(NamedTuple):
    """F times that a tag was fitted to the wearer, in any order; they may overlap (two tags) and end in the future."""

    from_us: Longs  # (F,)
    to_us: Longs  # (F,) the last moment that belongs to it
    contractor: tuple[str, ...]  # (F,) whose tag it is; what a profile's accuracy levels call it


class Events(NamedTuple):
    """E device events of tags while they were fitted to the wearer, in any order."""

    at_us: Longs  # (E,)
    kind: tuple[str, ...]  # (E,) as matcher.soundness knows them
    fitting: Ints  # (E,) row of Fittings


class History(NamedTuple):
    """The wearer's life before: what tells how often they are there anyway."""

    fixes: Fixes  # at least those of `history_stretches`; whatever else is in it changes nothing
    shifts_us: Longs  # (S,) to each comparable day, under 0: whole local days, so that the clock shows the same


class Context(NamedTuple):
    """All that the match of one wearer and one incident depends on; what lies beyond `context_bounds` changes nothing.

    history: None where it has not been read. `evaluate` says by `needs_history` whether it must be.
    """

    pings: Pings
    fittings: Fittings
    events: Events
    conflicts_us: Longs  # (C,) times at which fixes of one tag, time and source differ, sorted
    licence_us: Longs | None  # (L, 2) first and last moment of each licence, of all time; None where none is known
    history: History | None


NO_EVENTS: Final = Events(np.empty(0, np.int64), (), np.empty(0, np.int32))


def pings_from_columns(
    fitting: npt.ArrayLike,
    fixed_at_us: npt.ArrayLike,
    lon_e7: npt.ArrayLike,
    lat_e7: npt.ArrayLike,
    accuracy_cm: npt.ArrayLike,
    source: npt.ArrayLike,
) -> Pings:
    """Make the pings of one wearer from columns of one length in any order.

    A look where they stand in order already, else a sort. Raises ValueError if they differ in length.
    """
    pings = Pings(
        np.asarray(fitting, np.int32),
        np.asarray(fixed_at_us, np.int64),
        np.asarray(lon_e7, np.int32),
        np.asarray(lat_e7, np.int32),
        np.asarray(accuracy_cm, np.int32),
        np.asarray(source, np.int32),
    )
    if len({column.size for column in pings}) > 1:
        raise ValueError(f"the columns of pings differ in length: {tuple(column.size for column in pings)}")
    if np.all(pings.fixed_at_us[1:] > pings.fixed_at_us[:-1]):
        return pings
    by_importance = (pings.fixed_at_us, pings.fitting, pings.source, pings.lon_e7, pings.lat_e7, pings.accuracy_cm)
    order = np.lexsort(by_importance[::-1])
    return Pings._make(column[order] for column in pings)


def fixes_of(pings: Pings, contractors: tuple[str, ...], profile: Profile) -> Fixes:
    """Give each moment's best fix with its error, as the profile takes accuracies: what a `History` is made of.

    contractors: of the fittings that `pings.fitting` counts. About 20 ns a ping.
    """
    r95_m = _unknown_r95_m(profile)
    level = _levels(contractors, profile)[pings.fitting, pings.source] if profile.accuracy.levels else LEVEL
    return fixes_from_columns(*pings[1:], level=level, unknown_r95_m=r95_m)


def _levels(contractors: tuple[str, ...], profile: Profile) -> Floats:
    """Give the level of each contractor's (row) fixes of each source (column)."""
    levels = np.full((len(contractors), max(SOURCES.values()) + 1), LEVEL)
    for source, code in SOURCES.items():
        for row, contractor in enumerate(contractors):
            known = profile.accuracy.levels
            levels[row, code] = known.get(f"{contractor} {source}", known.get(source, LEVEL))
    return levels


def _unknown_r95_m(profile: Profile) -> dict[int, float]:
    return {SOURCES[source]: r95_m for source, r95_m in profile.accuracy.unknown_r95_m.items()}


class ContextBounds(NamedTuple):
    """How far a match looks; both ends belong to it.

    Pings count from `from_us` to `to_us`; fittings and device events from `history_from_us`, because a strap that was
    cut stays cut. Pings before `from_us` (those of `history_stretches`) count only where `needs_history` says so.
    """

    history_from_us: int  # not after from_us
    from_us: int
    to_us: int


def context_bounds(incident: Incident, profile: Profile) -> ContextBounds:
    """Give the context of an incident: nothing outside it is read, and what changes inside it is evaluated again.

    Raises ValueError if the profile has no circle for the offence, or the incident ends before it starts.
    """
    when = padded_window(incident, profile)
    # A position up to max_gap_s outside the padded window can still be the end of a line that enters it.
    beside_us = round((profile.max_gap_s + profile.after_s) * 1e6)
    from_us = when.start_us - beside_us
    if not profile.history_days:
        return ContextBounds(from_us, from_us, when.end_us + beside_us)
    furthest_us = when.start_us - profile.history_days * _DAY_US - _CLOCK_CHANGE_US - beside_a_day_us(profile)
    return ContextBounds(min(furthest_us, from_us), from_us, when.end_us + beside_us)


def padded_window(incident: Incident, profile: Profile) -> CrimeTime:
    """Give the window in which positions count, from `start_us` to `end_us`, both included.

    Where uncertainty is weighed, a moment on the full hour is widened first (matcher.crime_time). Raises ValueError as
    `context_bounds`.
    """
    padding_us = round(profile.circle(incident.offence).padding_s * 1e6)
    if profile.rule == PRESENCE:
        return crime_time(incident.from_us, incident.to_us, padding_us)
    if incident.to_us < incident.from_us:
        raise ValueError(f"the window ends before it starts, by {incident.from_us - incident.to_us} us")
    return CrimeTime(incident.from_us - padding_us, incident.from_us, incident.to_us, incident.to_us + padding_us)


_DAY_US: Final = 86_400_000_000
# A day of the same clock times is this much longer or shorter where the clock changes.
_CLOCK_CHANGE_US: Final = 3_600_000_000


def history_stretches(incident: Incident, profile: Profile, shifts_us: Longs) -> Longs:
    """Give the (S, 2) stretches of time, both ends included, whose fixes a `History` must hold; sorted, not touching.

    The padded window on each comparable day, with as much on either side as mobility can look at: 2 h 20 min for a
    crime of an hour, a tenth of what lies between.

    Raises ValueError if a comparable day is not before the incident or further back than the profile goes.
    """
    when, bounds = padded_window(incident, profile), context_bounds(incident, profile)
    beside_us = beside_a_day_us(profile)
    days_us = np.sort(np.asarray(shifts_us, np.int64))
    stretches = np.column_stack((when.start_us + days_us - beside_us, when.end_us + days_us + beside_us))
    if days_us.size and (stretches[0, 0] < bounds.history_from_us or when.end_us + days_us[-1] > when.start_us):
        raise ValueError(
            f"comparable days lie before the incident, by at most {profile.history_days} days: {days_us[[0, -1]]} us"
        )
    if not days_us.size:
        return stretches
    apart = stretches[1:, 0] > stretches[:-1, 1]
    return np.column_stack((stretches[np.append(True, apart), 0], stretches[np.append(apart, True), 1]))


def beside_a_day_us(profile: Profile) -> int:
    """Give how far beside the window of a comparable day fixes count: as far as mobility can look."""
    return round((WINDOW + 1) * profile.max_gap_s * 1e6)


# Of the moments with fixes after a padded window, and of those before it, no more than so many are looked at: a bridge
# over the window's end takes its mobility from five (matcher.mobility), whether each of those is a jump shows four
# further on (matcher.jumps), and the prism asks for two that can exclude (matcher.reach).
FLANK: Final = 16


def needs_to_us(context: Context, incident: Incident, profile: Profile) -> int:
    """Give the last moment that the match depends on, as far as the pings have come: what is later changes nothing.

    With FLANK moments with fixes after the padded window it is the last of those, else the end of `context_bounds`:
    the next ping may still tell something. A few us.
    """
    return flanked(context.pings, incident, profile)[1]


def flanked(pings: Pings, incident: Incident, profile: Profile) -> tuple[slice, int]:
    """Give the pings that a match depends on, but for its history, and the last moment that it depends on.

    Those in the padded window and those of the FLANK moments on either side.
    """
    bounds, when = context_bounds(incident, profile), padded_window(incident, profile)
    if profile.rule != PRESENCE:
        low, high = np.searchsorted(pings.fixed_at_us, (bounds.from_us, bounds.to_us + 1)).tolist()
        return slice(low, high), bounds.to_us
    low, high, to_us = _flank(pings.fixed_at_us, bounds.from_us, when.start_us, when.end_us, bounds.to_us)
    return slice(low, high), to_us


@kernel
def _flank(time_us: Longs, from_us: int, start_us: int, end_us: int, to_us: int) -> tuple[int, int, int]:
    """Give the first row and the row after the last, of sorted times, and the last moment."""
    low = start = int(np.searchsorted(time_us, start_us))
    moments = 0
    while low > 0 and time_us[low - 1] >= from_us:
        moments += low == start or time_us[low - 1] != time_us[low]
        if moments > FLANK:
            break
        low -= 1
    high = end = int(np.searchsorted(time_us, end_us, "right"))
    moments = 0
    while high < time_us.size and time_us[high] <= to_us:
        moments += high == end or time_us[high] != time_us[high - 1]
        if moments > FLANK:
            break
        high += 1
    return low, high, int(time_us[high - 1]) if moments >= FLANK else to_us
