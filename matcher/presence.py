"""The probability that a wearer was inside a circle: at a fix, between fixes, over the window of a crime."""

from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from geo.uncounted import uncounted
from matcher.bridge import Bridge, certainty, highest_between, integrate, line_at, probability_at
from matcher.crime_time import CrimeTime, density_per_s, share_before
from matcher.fixes import Fixes, Floats
from matcher.throughout import ROOM, Lasting, Runs, begin, follow, go_on, throughout, uncounted_runs
from matcher.trails import Ints, Longs
from matcher.window import (
    AT_S,
    Bridges,
    Place,
    Rows,
    bridge_after,
    inside_at,
    is_far,
    is_joined,
    rows_of,
    table_of,
)

# Stands for a time where there is none.
NO_TIME_US: Final = int(np.iinfo(np.int64).min)


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
    throughout: float  # A_s, of the same: of being inside at that moment, within a stay as such an offence takes
    known: float  # the share of A's moments that is covered: A is at least at_crime and at most at_crime + 1 − known
    covered_s: float  # covered seconds of the window with its padding


def presence(fixes: Fixes, place: Place, when: CrimeTime, bridges: Bridges, lasting: Lasting) -> Presence:
    """Give the presence of a wearer at a place over the window of a crime that takes so long.

    At a fix P is that of `inside_probability` with σ² of the fix and of the place together. Between two fixes, at the
    part α of the time T between them, the position is normal about the point α along the line, in each axis with
    T·α(1−α)·D + (1−α)²σ₁² + α²σ₂² (the Brownian bridge: Horne, Garton, Krone and Lewis, Ecology 88, 2354, 2007), and
    the place's σ² is added once, to that. The mobility D is that of `likeliest_mobility` about the stretch; where no
    three fixes are joined, the stretch's own length is taken for wandering.

    A = ∫ f(t)·P(t) dt with the density of `CrimeTime`; A_s is that of `matcher.throughout.Runs`. Integrals by Simpson's
    rule, each piece halved until that changes its mean by less than 1.5e-4, which leaves an error of about 1e-5, and
    of up to 3e-3 in A_s; the highest probability is sought among what the rule looked at and then by the golden
    section.

    `fixes` are those that `set_aside_jumps` left. Cost: a binary search, then a few ns for each fix in the window, and
    about 0.5 µs for each bridge near the circle's edge.
    """
    return Presence(*_presence(*fixes[:4], place, when, bridges, lasting))


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
_THROUGHOUT: Final = 9
_KNOWN: Final = 10
_COVERED_S: Final = 11
SUMS: Final = 12

# Mean error of P over a piece of a bridge.
_FINE: Final = 1e-5


@kernel
def _presence(
    time_us: Longs,
    lon_e7: Ints,
    lat_e7: Ints,
    sigma_m: Floats,
    place: Place,
    when: CrimeTime,
    bridges: Bridges,
    lasting: Lasting,
) -> tuple[float, int, float, int, float, float, float, float, float]:
    sums, runs = np.zeros(SUMS), Runs(np.empty(ROOM), when, lasting)
    rows = rows_of(time_us, when)
    table = table_of(time_us, lon_e7, lat_e7, sigma_m, rows, place, when.start_us)
    _add_window(table, rows, place, bridges, runs, sums)
    if sums[_BRIDGE] >= 0:
        _sharpen(table, place, bridges, sums)
    return (
        sums[_HIGHEST],
        when.start_us + round(sums[_HIGHEST_S] * 1e6) if sums[_HIGHEST] > 0 else NO_TIME_US,
        sums[_SEEN],
        when.start_us + round(sums[_SEEN_S] * 1e6) if sums[_SEEN] > 0 else NO_TIME_US,
        sums[_INSIDE_S],
        sums[_AT_CRIME],
        sums[_THROUGHOUT],
        sums[_KNOWN],
        sums[_COVERED_S],
    )


@kernel
def _add_window(table: Floats, rows: Rows, place: Place, bridges: Bridges, runs: Runs, sums: Floats) -> None:
    """Add all fixes of the window and all bridges that enter it to the sums, in time order."""
    table, sums, runs = uncounted(table), uncounted(sums), uncounted_runs(runs)
    sums[_BRIDGE] = -1
    begin(runs)
    when = runs.when
    length_s = (when.end_us - when.start_us) / 1e6
    for row in range(rows.first, rows.last + 1):
        before_s = table[row, AT_S]
        if 0 <= before_s <= length_s and not is_far(table, row, row, place, bridges):
            _add_fix(table, row, place, sums)
        if row == rows.last or table[row + 1, AT_S] <= 0 or before_s >= length_s or not is_joined(table, row, bridges):
            continue
        start_s, end_s = max(before_s, 0.0), min(table[row + 1, AT_S], length_s)
        sums[_KNOWN] += share_before(when, end_s) - share_before(when, start_s)
        sums[_COVERED_S] += end_s - start_s
        if not is_far(table, row, row + 1, place, bridges):
            add_bridge(table, row, place, bridges, _FINE, runs, sums)
    sums[_THROUGHOUT] = throughout(runs)


@kernel
def _add_fix(table: Floats, row: int, place: Place, sums: Floats) -> None:
    inside = inside_at(table, row, place)
    if inside > sums[_SEEN]:
        sums[_SEEN], sums[_SEEN_S] = inside, table[row, AT_S]
    if inside > sums[_HIGHEST]:
        sums[_HIGHEST], sums[_HIGHEST_S], sums[_BRIDGE] = inside, table[row, AT_S], -1


@kernel
def add_bridge(
    table: Floats, row: int, place: Place, bridges: Bridges, tolerance: float, runs: Runs, sums: Floats
) -> None:
    """Add the part of the bridge from a row to the next that lies in the window, piece by piece of the density."""
    bridge = bridge_after(table, row, place, bridges)
    certain = certainty(bridge)
    if certain == 0:
        return
    when = runs.when
    knots_us = (0, when.from_us - when.start_us, when.to_us - when.start_us, when.end_us - when.start_us)
    for piece in range(3):
        start_s = max(table[row, AT_S], knots_us[piece] / 1e6)
        end_s = min(table[row + 1, AT_S], knots_us[piece + 1] / 1e6)
        if start_s >= end_s:
            continue
        if certain == 1:
            _add_certain(runs, bridge, table[row, AT_S], start_s, end_s, sums)
        else:
            _add_piece(table, row, bridge, place, runs, start_s, end_s, tolerance, sums)


@kernel
def _add_certain(runs: Runs, bridge: Bridge, before_s: float, start_s: float, end_s: float, sums: Floats) -> None:
    x_m, y_m = line_at(bridge, (start_s - before_s) / bridge.seconds)
    go_on(runs, start_s, 1.0, x_m, y_m)
    x_m, y_m = line_at(bridge, (end_s - before_s) / bridge.seconds)
    follow(runs, end_s, 1.0, x_m, y_m)
    sums[_INSIDE_S] += end_s - start_s
    sums[_AT_CRIME] += share_before(runs.when, end_s) - share_before(runs.when, start_s)
    if sums[_HIGHEST] < 1:
        sums[_HIGHEST], sums[_HIGHEST_S], sums[_BRIDGE] = 1.0, start_s, -1


@kernel
def _add_piece(
    table: Floats,
    row: int,
    bridge: Bridge,
    place: Place,
    runs: Runs,
    start_s: float,
    end_s: float,
    tolerance: float,
    sums: Floats,
) -> None:
    before_s = table[row, AT_S]
    start, end = (start_s - before_s) / bridge.seconds, (end_s - before_s) / bridge.seconds
    at_start = inside_at(table, row, place) if start == 0 else probability_at(bridge, start)
    at_end = inside_at(table, row + 1, place) if end == 1 else probability_at(bridge, end)
    x_m, y_m = line_at(bridge, start)
    go_on(runs, start_s, at_start, x_m, y_m)
    found = integrate(
        bridge,
        before_s,
        start,
        end,
        at_start,
        at_end,
        density_per_s(runs.when, start_s),
        density_per_s(runs.when, end_s),
        tolerance,
        runs,
    )
    x_m, y_m = line_at(bridge, end)
    follow(runs, end_s, at_end, x_m, y_m)
    sums[_INSIDE_S] += found.inside * bridge.seconds
    sums[_AT_CRIME] += found.weighted * bridge.seconds
    if found.highest > sums[_HIGHEST]:
        sums[_HIGHEST], sums[_HIGHEST_S], sums[_BRIDGE] = found.highest, before_s + found.at * bridge.seconds, row
        sums[_FROM_PART], sums[_TO_PART] = max(start, found.at - found.beside), min(end, found.at + found.beside)


@kernel
def _sharpen(table: Floats, place: Place, bridges: Bridges, sums: Floats) -> None:
    """Seek the highest probability between the points beside the one that it was found at."""
    row = int(sums[_BRIDGE])
    bridge = bridge_after(table, row, place, bridges)
    highest, part = highest_between(bridge, sums[_FROM_PART], sums[_TO_PART])
    if highest > sums[_HIGHEST]:
        sums[_HIGHEST], sums[_HIGHEST_S] = highest, table[row, AT_S] + part * bridge.seconds
