"""The probability that a wearer was inside a circle: at a fix, between fixes, over the window of a crime."""

import math
from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from geo.wgs84 import RADIANS_PER_DEGREE, offset_m, shorter_way_deg
from matcher.bridge import Bridge, certainty, highest_between, integrate, probability_at
from matcher.circle import CERTAIN, inside_probability
from matcher.crime_time import CrimeTime, density_per_s, share_before
from matcher.fixes import Fixes, Floats
from matcher.jumps import is_jump
from matcher.mobility import WINDOW, left_out, likeliest_mobility
from matcher.trails import E7_PER_DEGREE, Ints, Longs

# Stands for a time where there is none.
NO_TIME_US: Final = int(np.iinfo(np.int64).min)


class Place(NamedTuple):
    """Where a crime happened and how near counts."""

    lon_deg: float  # within 180 degrees
    lat_deg: float  # within 85 degrees
    radius_m: float  # over 0
    sigma_m: float  # the place's own standard deviation in each axis, 0 or more


class Bridges(NamedTuple):
    """Which fixes are joined, and within what the mobility of the bridges is sought."""

    max_gap_s: float
    max_speed_mps: float
    least_mobility_m2ps: float
    most_mobility_m2ps: float


class Presence(NamedTuple):
    """What fixes say of a wearer's presence in a circle during a window with its padding.

    A moment is *covered* if it lies between two fixes at most `max_gap_s` apart with no jump between them; the
    probability of any other moment is unknown, and counts as nothing in `at_crime` and `inside_s`.
    """

    highest: float  # highest probability, at fixes and between them; 0 where nothing is covered and no fix is near
    highest_us: int  # its time, the earliest of equal ones; NO_TIME_US where highest is 0
    seen: float  # highest probability at a fix, and
    seen_us: int  # its time, both as above
    inside_s: float  # expected seconds inside, of those covered
    at_crime: float  # A, the probability of being inside at the moment of the crime, of the moments covered
    known: float  # the share of A's moments that is covered: A is at least at_crime and at most at_crime + 1 − known
    covered_s: float  # covered seconds of the window with its padding


def presence(fixes: Fixes, place: Place, when: CrimeTime, bridges: Bridges) -> Presence:
    """Give the presence of a wearer at a place over the window of a crime.

    At a fix P is that of `inside_probability` with σ² of the fix and of the place together. Between two fixes, at the
    part α of the time T between them, the position is normal about the point α along the line, in each axis with
    T·α(1−α)·D + (1−α)²σ₁² + α²σ₂² (the Brownian bridge: Horne, Garton, Krone and Lewis, Ecology 88, 2354, 2007), and
    the place's σ² is added once, to that. The mobility D is that of `likeliest_mobility` about the stretch; where no
    three fixes are joined, the stretch's own length is taken for wandering.

    A = ∫ f(t)·P(t) dt with the density of `CrimeTime`. Integrals by Simpson's rule, each piece halved until that
    changes its mean by less than 1.5e-4, which leaves an error of about 1e-5; the highest probability is sought among
    what the rule looked at and then by the golden section.

    `fixes` are those that `set_aside_jumps` left. Cost: a binary search, then a few ns for each fix in the window, and
    about 0.5 µs for each bridge near the circle's edge.
    """
    return Presence(*_presence(*fixes[:4], place, when, bridges))


class Shifted(NamedTuple):
    """Presence at a place in the same window at other times."""

    at_crime: Floats  # (S,) as in Presence
    known: Floats  # (S,)


def shifted_presence(fixes: Fixes, place: Place, when: CrimeTime, bridges: Bridges, shifts_us: Longs) -> Shifted:
    """Give `at_crime` and `known` of `presence` for the window moved by each of (S,) microseconds.

    The integrals are coarser: each piece is off by less than 1e-3 of its length. Cost: S times that, less a third.
    """
    found = Shifted(np.empty(shifts_us.size), np.empty(shifts_us.size))
    _shifted(*fixes[:4], place, when, bridges, shifts_us, *found)
    return found


# A degree of latitude or of the equator is at least as long.
_METRES_PER_DEGREE: Final = 110_500.0
# What can be near is this near in latitude: errors are bounded to match.
_NEAR_DEG: Final = 2.0

# What a window adds up to.
_HIGHEST: Final = 0
_HIGHEST_S: Final = 1
_BRIDGE: Final = 2  # row of the fix whose bridge the highest was found on, -1 where it was at a fix
_FROM_PART: Final = 3  # the parts of that bridge between which it lies
_TO_PART: Final = 4
_SEEN: Final = 5
_SEEN_S: Final = 6
_INSIDE_S: Final = 7
_AT_CRIME: Final = 8
_KNOWN: Final = 9
_COVERED_S: Final = 10
_SUMS: Final = 11

# Columns of the table of a window's fixes, one row each, with some before and after for the mobility.
_S: Final = 0  # seconds after the window's start
_LON: Final = 1  # 1e-7 degrees
_LAT: Final = 2
_SIGMA: Final = 3
_X: Final = 4  # metres about the place, NaN until they are needed
_Y: Final = 5
_INSIDE: Final = 6  # probability at the fix, NaN until it is needed
_EAST: Final = 7  # metres off the place, at most
_NORTH: Final = 8
_TURN: Final = 9  # to 12: what leaving it out tells (matcher.mobility), NaN until it is needed
_COLUMNS: Final = 12

# Mean error of P over a piece of a bridge: for what is shown, and for the sums of many days.
_FINE: Final = 1e-5
_COARSE: Final = 4e-4


@kernel
def _presence(
    time_us: Longs, lon_e7: Ints, lat_e7: Ints, sigma_m: Floats, place: Place, when: CrimeTime, bridges: Bridges
) -> tuple[float, int, float, int, float, float, float, float]:
    sums = np.zeros(_SUMS)
    rows = _rows(time_us, when)
    table = _table(time_us, lon_e7, lat_e7, sigma_m, rows, place, when.start_us)
    _add_window(table, rows, place, when, bridges, _FINE, sums)
    if sums[_BRIDGE] >= 0:
        _sharpen(table, place, bridges, sums)
    return (
        sums[_HIGHEST],
        when.start_us + round(sums[_HIGHEST_S] * 1e6) if sums[_HIGHEST] > 0 else NO_TIME_US,
        sums[_SEEN],
        when.start_us + round(sums[_SEEN_S] * 1e6) if sums[_SEEN] > 0 else NO_TIME_US,
        sums[_INSIDE_S],
        sums[_AT_CRIME],
        sums[_KNOWN],
        sums[_COVERED_S],
    )


@kernel
def _shifted(
    time_us: Longs,
    lon_e7: Ints,
    lat_e7: Ints,
    sigma_m: Floats,
    place: Place,
    when: CrimeTime,
    bridges: Bridges,
    shifts_us: Longs,
    at_crime: Floats,
    known: Floats,
) -> None:
    sums = np.empty(_SUMS)
    for i in range(shifts_us.size):
        sums[:] = 0
        shift_us = shifts_us[i]
        moved = CrimeTime(
            when.start_us + shift_us, when.from_us + shift_us, when.to_us + shift_us, when.end_us + shift_us
        )
        rows = _rows(time_us, moved)
        table = _table(time_us, lon_e7, lat_e7, sigma_m, rows, place, moved.start_us)
        _add_window(table, rows, place, moved, bridges, _COARSE, sums)
        at_crime[i], known[i] = sums[_AT_CRIME], sums[_KNOWN]


class Rows(NamedTuple):
    """Which fixes a window needs, and which of their rows lie in it or flank it."""

    fix: int  # the fix of the first row
    size: int
    first: int  # row of the last fix before the window, or of the first fix
    last: int  # row of the first fix after the window, or of the last fix


@kernel
def _rows(time_us: Longs, when: CrimeTime) -> Rows:
    first = max(int(np.searchsorted(time_us, when.start_us, "right")) - 1, 0)
    last = min(int(np.searchsorted(time_us, when.end_us, "left")), time_us.size - 1)
    fix = max(first - WINDOW, 0)
    return Rows(fix, min(last + WINDOW, time_us.size - 1) - fix + 1, first - fix, last - fix)


@kernel
def _table(
    time_us: Longs, lon_e7: Ints, lat_e7: Ints, sigma_m: Floats, rows: Rows, place: Place, start_us: int
) -> Floats:
    table = np.empty((rows.size, _COLUMNS))
    # Degrees of longitude as short as _NEAR_DEG nearer to the pole: what is further off is far by latitude.
    east_m = _METRES_PER_DEGREE * math.cos(min(abs(place.lat_deg) + _NEAR_DEG, 90.0) * RADIANS_PER_DEGREE)
    for row in range(rows.size):
        fix = rows.fix + row
        table[row, _S] = (time_us[fix] - start_us) / 1e6
        table[row, _LON] = lon_e7[fix]
        table[row, _LAT] = lat_e7[fix]
        table[row, _SIGMA] = sigma_m[fix]
        table[row, _X] = table[row, _INSIDE] = table[row, _TURN] = math.nan
        table[row, _EAST] = shorter_way_deg(lon_e7[fix] / E7_PER_DEGREE - place.lon_deg) * east_m
        table[row, _NORTH] = (lat_e7[fix] / E7_PER_DEGREE - place.lat_deg) * _METRES_PER_DEGREE
    return table


@kernel
def _add_window(
    table: Floats, rows: Rows, place: Place, when: CrimeTime, bridges: Bridges, tolerance: float, sums: Floats
) -> None:
    """Add all fixes of the window and all bridges that enter it to the sums, in time order."""
    sums[_BRIDGE] = -1
    length_s = (when.end_us - when.start_us) / 1e6
    for row in range(rows.first, rows.last + 1):
        before_s = table[row, _S]
        if 0 <= before_s <= length_s and not _is_far(table, row, row, place, bridges):
            _add_fix(table, row, place, sums)
        if row == rows.last or table[row + 1, _S] <= 0 or before_s >= length_s or not _is_joined(table, row, bridges):
            continue
        start_s, end_s = max(before_s, 0.0), min(table[row + 1, _S], length_s)
        sums[_KNOWN] += share_before(when, end_s) - share_before(when, start_s)
        sums[_COVERED_S] += end_s - start_s
        if not _is_far(table, row, row + 1, place, bridges):
            _add_bridge(table, row, place, when, bridges, tolerance, sums)


@kernel
def _add_fix(table: Floats, row: int, place: Place, sums: Floats) -> None:
    inside = _inside(table, row, place)
    if inside > sums[_SEEN]:
        sums[_SEEN], sums[_SEEN_S] = inside, table[row, _S]
    if inside > sums[_HIGHEST]:
        sums[_HIGHEST], sums[_HIGHEST_S], sums[_BRIDGE] = inside, table[row, _S], -1


@kernel
def _add_bridge(
    table: Floats, row: int, place: Place, when: CrimeTime, bridges: Bridges, tolerance: float, sums: Floats
) -> None:
    """Add the part of the bridge from a row to the next that lies in the window, piece by piece of the density."""
    bridge = _bridge(table, row, place, bridges)
    certain = certainty(bridge)
    if certain == 0:
        return
    knots_us = (0, when.from_us - when.start_us, when.to_us - when.start_us, when.end_us - when.start_us)
    for piece in range(3):
        start_s = max(table[row, _S], knots_us[piece] / 1e6)
        end_s = min(table[row + 1, _S], knots_us[piece + 1] / 1e6)
        if start_s >= end_s:
            continue
        if certain == 1:
            _add_certain(when, start_s, end_s, sums)
        else:
            _add_piece(table, row, bridge, place, when, start_s, end_s, tolerance, sums)


@kernel
def _add_certain(when: CrimeTime, start_s: float, end_s: float, sums: Floats) -> None:
    sums[_INSIDE_S] += end_s - start_s
    sums[_AT_CRIME] += share_before(when, end_s) - share_before(when, start_s)
    if sums[_HIGHEST] < 1:
        sums[_HIGHEST], sums[_HIGHEST_S], sums[_BRIDGE] = 1.0, start_s, -1


@kernel
def _add_piece(
    table: Floats,
    row: int,
    bridge: Bridge,
    place: Place,
    when: CrimeTime,
    start_s: float,
    end_s: float,
    tolerance: float,
    sums: Floats,
) -> None:
    before_s = table[row, _S]
    start, end = (start_s - before_s) / bridge.seconds, (end_s - before_s) / bridge.seconds
    found = integrate(
        bridge,
        start,
        end,
        _inside(table, row, place) if start == 0 else probability_at(bridge, start),
        _inside(table, row + 1, place) if end == 1 else probability_at(bridge, end),
        density_per_s(when, start_s),
        density_per_s(when, end_s),
        tolerance,
    )
    sums[_INSIDE_S] += found.inside * bridge.seconds
    sums[_AT_CRIME] += found.weighted * bridge.seconds
    if found.highest > sums[_HIGHEST]:
        sums[_HIGHEST], sums[_HIGHEST_S], sums[_BRIDGE] = found.highest, before_s + found.at * bridge.seconds, row
        sums[_FROM_PART], sums[_TO_PART] = max(start, found.at - found.beside), min(end, found.at + found.beside)


@kernel
def _sharpen(table: Floats, place: Place, bridges: Bridges, sums: Floats) -> None:
    """Seek the highest probability between the points beside the one that it was found at."""
    row = int(sums[_BRIDGE])
    bridge = _bridge(table, row, place, bridges)
    highest, part = highest_between(bridge, sums[_FROM_PART], sums[_TO_PART])
    if highest > sums[_HIGHEST]:
        sums[_HIGHEST], sums[_HIGHEST_S] = highest, table[row, _S] + part * bridge.seconds


@kernel
def _is_joined(table: Floats, row: int, bridges: Bridges) -> bool:
    gap_s = table[row + 1, _S] - table[row, _S]
    return gap_s <= bridges.max_gap_s and not is_jump(
        table[row, _LON],
        table[row, _LAT],
        table[row + 1, _LON],
        table[row + 1, _LAT],
        table[row, _SIGMA],
        table[row + 1, _SIGMA],
        gap_s,
        bridges.max_speed_mps,
    )


@kernel
def _is_far(table: Floats, row: int, other: int, place: Place, bridges: Bridges) -> bool:
    """Say whether the box about two fixes is certainly out of the circle's reach, whatever the mobility. 2 ns."""
    blur_m = max(table[row, _SIGMA], table[other, _SIGMA])
    variance_m2 = blur_m * blur_m + place.sigma_m * place.sigma_m
    variance_m2 += (table[other, _S] - table[row, _S]) / 4 * bridges.most_mobility_m2ps
    outside_m = max(_apart(table[row, _EAST], table[other, _EAST]), _apart(table[row, _NORTH], table[other, _NORTH]))
    outside_m -= place.radius_m
    return outside_m > 0 and outside_m * outside_m > CERTAIN * CERTAIN * variance_m2


@kernel
def _apart(one: float, other: float) -> float:
    """How far the stretch between two numbers is from 0; not over 0 where it is in it."""
    return max(one, -other) if one < other else max(other, -one)


@kernel
def _inside(table: Floats, row: int, place: Place) -> float:
    """Give the probability at a fix."""
    if math.isnan(table[row, _INSIDE]):
        _locate(table, row, place)
        x_m, y_m, sigma_m = table[row, _X], table[row, _Y], table[row, _SIGMA]
        blur_m = math.sqrt(sigma_m * sigma_m + place.sigma_m * place.sigma_m)
        table[row, _INSIDE] = inside_probability(math.sqrt(x_m * x_m + y_m * y_m), place.radius_m, blur_m)
    return float(table[row, _INSIDE])


@kernel
def _locate(table: Floats, row: int, place: Place) -> None:
    if math.isnan(table[row, _X]):
        lon_deg, lat_deg = table[row, _LON] / E7_PER_DEGREE, table[row, _LAT] / E7_PER_DEGREE
        table[row, _X], table[row, _Y] = offset_m(place.lon_deg, place.lat_deg, lon_deg, lat_deg)


@kernel
def _bridge(table: Floats, row: int, place: Place, bridges: Bridges) -> Bridge:
    """Build the bridge from a row to the next."""
    _locate(table, row, place)
    _locate(table, row + 1, place)
    return Bridge(
        table[row, _X],
        table[row, _Y],
        table[row + 1, _X] - table[row, _X],
        table[row + 1, _Y] - table[row, _Y],
        table[row + 1, _S] - table[row, _S],
        _mobility_m2ps(table, row, place, bridges),
        table[row, _SIGMA] * table[row, _SIGMA],
        table[row + 1, _SIGMA] * table[row + 1, _SIGMA],
        place.sigma_m * place.sigma_m,
        place.radius_m,
    )


@kernel
def _mobility_m2ps(table: Floats, row: int, place: Place, bridges: Bridges) -> float:
    first, end = max(row - WINDOW + 1, 1), min(row + WINDOW + 1, table.shape[0] - 1)
    seconds = 0.0
    for other in range(first, end):
        if math.isnan(table[other, _TURN]):
            _leave_out(table, other, place, bridges)
        seconds += table[other, _TURN]
    least, most = bridges.least_mobility_m2ps, bridges.most_mobility_m2ps
    if seconds > 0:
        return likeliest_mobility(table[first:end, _TURN:], least, most)
    x_m, y_m = table[row + 1, _X] - table[row, _X], table[row + 1, _Y] - table[row, _Y]
    seconds = table[row + 1, _S] - table[row, _S]
    return float(min(max((x_m * x_m + y_m * y_m) / (2 * seconds), least), most))


@kernel
def _leave_out(table: Floats, row: int, place: Place, bridges: Bridges) -> None:
    """Set what leaving out a fix tells; nothing where it is not joined to both its neighbours."""
    turn = table[row, _TURN:]
    if not (_is_joined(table, row - 1, bridges) and _is_joined(table, row, bridges)):
        turn[:] = 0
        return
    for other in range(row - 1, row + 2):
        _locate(table, other, place)
    before_s, after_s = table[row, _S] - table[row - 1, _S], table[row + 1, _S] - table[row, _S]
    part = before_s / (before_s + after_s)
    left_out(
        before_s,
        after_s,
        table[row, _X] - (1 - part) * table[row - 1, _X] - part * table[row + 1, _X],
        table[row, _Y] - (1 - part) * table[row - 1, _Y] - part * table[row + 1, _Y],
        table[row - 1, _SIGMA] * table[row - 1, _SIGMA],
        table[row, _SIGMA] * table[row, _SIGMA],
        table[row + 1, _SIGMA] * table[row + 1, _SIGMA],
        turn,
    )
