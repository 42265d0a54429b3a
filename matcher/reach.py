"""Reach: whether a wearer can have been at a place at all, and what that would have taken."""

import math
from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from geo.wgs84 import distance_m
from matcher.fixes import Fixes, Flags, Floats
from matcher.jumps import R999_PER_SIGMA, is_jump
from matcher.trails import E7_PER_DEGREE, Ints, Longs
from matcher.window import Place


class Reach(NamedTuple):
    """What the space-time prism leaves of a window, at the worst of leaving out any one fix."""

    is_excluded: bool  # presence at any moment would have needed more than the highest speed
    is_sound: bool  # no strap, power or activation is in doubt throughout what this rests on
    needed_mps: float  # the least speed with which presence was possible; infinite where none would do
    longest_stay_s: float  # the longest stay that was possible with the highest speed: an upper bound
    rests_from_us: int  # from the first fix that this rests on, or the window's start where there is none before it,
    rests_to_us: int  # to the last, or the window's end


def reach(
    fixes: Fixes, set_aside: Fixes, place: Place, from_us: int, to_us: int, max_speed_mps: float, unsound_us: Longs
) -> Reach:
    """Say whether a wearer can have been in a circle between two moments (the window with its padding).

    The space-time prism (T. Hägerstrand, Papers of the Regional Science Association 24, 7, 1970; H. J. Miller,
    International Journal of Geographical Information Systems 5, 287, 1991): D = max(0, distance − R − r99.9 of the fix
    − r99.9 of the place) lay at least between a fix and the circle. Presence in the window [w₀, w₁] between
    neighbouring fixes at t₁ and t₂ needed the highest of D₁/(w₁ − t₁), D₂/(t₂ − w₀) and (D₁ + D₂)/(t₂ − t₁); before
    the first fix and after the last only one of them. The least over all such stretches that meet the window is the
    speed needed.

    One false fix must never clear anyone: each in turn is left out, and the least of all is taken. Nor must a jump: of
    neighbours that nobody could have come between one is false, so between them the one that excludes less counts.
    And a fix that was set aside but lies in the circle, within the window, forbids exclusion.

    fixes, set_aside: as `set_aside_jumps` parts them. Only those that `can_exclude` are looked at: in the window, the
    last two before it and the first two after it. unsound_us: (U, 2), stretches from-to in which strap, power or
    activation is not sound.

    Cost: 0.1 µs for each fix in the window. Raises ValueError if the window ends before it starts.
    """
    if to_us < from_us:
        raise ValueError(f"the window ends before it starts, by {from_us - to_us} us")
    needed_mps, longest_stay_s, rests_from_us, rests_to_us = _reach(*fixes, place, from_us, to_us, max_speed_mps)
    if _is_placed_inside(set_aside, place, from_us, to_us):
        needed_mps = 0.0
    unsound = (unsound_us[:, 0] <= rests_to_us) & (unsound_us[:, 1] >= rests_from_us)
    return Reach(
        is_excluded=needed_mps > max_speed_mps,
        is_sound=not unsound.any(),
        needed_mps=needed_mps,
        longest_stay_s=longest_stay_s,
        rests_from_us=rests_from_us,
        rests_to_us=rests_to_us,
    )


# Of so many fixes on either side of a window one may be left out.
_FLANK: Final = 2


@kernel
def _reach(
    time_us: Longs,
    lon_e7: Ints,
    lat_e7: Ints,
    sigma_m: Floats,
    can_exclude: Flags,
    place: Place,
    from_us: int,
    to_us: int,
    max_speed_mps: float,
) -> tuple[float, float, int, int]:
    """Give speed needed and longest stay, and from when to when that rests on fixes."""
    # The fixes in the window and two on either side that can exclude.
    first = _step_back(can_exclude, int(np.searchsorted(time_us, from_us)))
    end = _step_on(can_exclude, int(np.searchsorted(time_us, to_us, "right")))
    used = first + np.flatnonzero(can_exclude[first:end])
    at_s = (time_us[used] - from_us) / 1e6
    length_s = (to_us - from_us) / 1e6
    gap_m = _gaps_m(lon_e7, lat_e7, sigma_m, used, place)
    is_jump_after = _jumps_after(lon_e7, lat_e7, sigma_m, used, at_s, max_speed_mps)
    return (
        _needed_mps(at_s, gap_m, is_jump_after, length_s),
        _longest_stay_s(at_s, gap_m, is_jump_after, length_s, max_speed_mps),
        min(time_us[used[0]], from_us) if used.size else from_us,
        max(time_us[used[-1]], to_us) if used.size else to_us,
    )


@kernel
def _step_back(can_exclude: Flags, first: int) -> int:
    found = 0
    while first > 0 and found < _FLANK:
        first -= 1
        found += can_exclude[first]
    return first


@kernel
def _step_on(can_exclude: Flags, end: int) -> int:
    found = 0
    while end < can_exclude.size and found < _FLANK:
        found += can_exclude[end]
        end += 1
    return end


@kernel
def _gaps_m(lon_e7: Ints, lat_e7: Ints, sigma_m: Floats, used: Longs, place: Place) -> Floats:
    """Give what lay at least between each fix used and the circle, in metres."""
    gap_m = np.empty(used.size)
    for i in range(used.size):
        fix = used[i]
        away_m = distance_m(place.lon_deg, place.lat_deg, lon_e7[fix] / E7_PER_DEGREE, lat_e7[fix] / E7_PER_DEGREE)
        gap_m[i] = max(away_m - place.radius_m - R999_PER_SIGMA * (sigma_m[fix] + place.sigma_m), 0.0)
    return gap_m


@kernel
def _jumps_after(lon_e7: Ints, lat_e7: Ints, sigma_m: Floats, used: Longs, at_s: Floats, max_speed_mps: float) -> Flags:
    """Say of each fix and the next two, in two columns, whether nobody can have come from the one to the other."""
    jumps = np.zeros((used.size, 2), np.bool_)
    for i in range(used.size):
        for step in range(1, 3):
            if i + step < used.size:
                one, two = used[i], used[i + step]
                jumps[i, step - 1] = is_jump(
                    lon_e7[one],
                    lat_e7[one],
                    lon_e7[two],
                    lat_e7[two],
                    sigma_m[one],
                    sigma_m[two],
                    at_s[i + step] - at_s[i],
                    max_speed_mps,
                )
    return jumps


def _is_placed_inside(set_aside: Fixes, place: Place, from_us: int, to_us: int) -> bool:
    """Say whether a fix that was set aside may lie in the circle, within the window."""
    if not set_aside.fixed_at_us.size:
        return False
    within = (set_aside.fixed_at_us >= from_us) & (set_aside.fixed_at_us <= to_us) & set_aside.can_exclude
    used = np.flatnonzero(within)
    return bool(np.any(_gaps_m(set_aside.lon_e7, set_aside.lat_e7, set_aside.sigma_m, used, place) == 0))


@kernel
def _needed_mps(at_s: Floats, gap_m: Floats, is_jump_after: Flags, length_s: float) -> float:
    """Give the least speed over all stretches, of the fixes as they are and after leaving out each of them."""
    least = math.inf
    for left_out in range(2):
        for i in range(-1, at_s.size - left_out):
            j = i + 1 + left_out
            is_first, is_last = i < 0, j >= at_s.size
            t1, t2 = (-math.inf if is_first else at_s[i]), (math.inf if is_last else at_s[j])
            if t1 > length_s or t2 < 0:
                continue
            d1, d2 = (0.0 if is_first else gap_m[i]), (0.0 if is_last else gap_m[j])
            to_come, to_go = _ratio(d1, length_s - t1), _ratio(d2, t2)
            if is_first or is_last:
                needed = max(to_come, to_go)
            elif is_jump_after[i, left_out]:
                needed = min(to_come, to_go)
            else:
                needed = max(to_come, to_go, _ratio(d1 + d2, t2 - t1))
            least = min(least, needed)
    # The last fix left out alone, or no fix at all.
    return 0.0 if at_s.size < 2 else least


@kernel
def _ratio(metres: float, seconds: float) -> float:
    if metres == 0:
        return 0.0
    return metres / seconds if seconds > 0 else math.inf


@kernel
def _longest_stay_s(at_s: Floats, gap_m: Floats, is_jump_after: Flags, length_s: float, max_speed_mps: float) -> float:
    """Give the longest stay, over fixes in the circle too, of the fixes as they are and after leaving out each."""
    n = at_s.size
    if n < 2:
        return length_s
    before_s = _stays_up_to(at_s, gap_m, is_jump_after, length_s, max_speed_mps)
    after_s = _stays_from(at_s, gap_m, is_jump_after, length_s, max_speed_mps)
    longest = 0.0
    for left_out in range(2):
        for i in range(-1, n - left_out):
            j = i + 1 + left_out
            start_s, end_s = _stay(at_s, gap_m, is_jump_after, i, j, length_s, max_speed_mps)
            if start_s > end_s:
                continue
            stay_s = end_s - start_s
            if i >= 0 and start_s == at_s[i]:
                stay_s += before_s[i]
            if j < n and end_s == at_s[j]:
                stay_s += after_s[j]
            longest = max(longest, stay_s)
    return longest


@kernel
def _stays_up_to(at_s: Floats, gap_m: Floats, is_jump_after: Flags, length_s: float, max_speed_mps: float) -> Floats:
    """Give for each fix in the circle how long a stay that it ends can have been; 0 for the others."""
    stays_s = np.zeros(at_s.size)
    for i in range(at_s.size):
        if _is_inside(at_s, gap_m, i, length_s):
            start_s, _ = _stay(at_s, gap_m, is_jump_after, i - 1, i, length_s, max_speed_mps)
            stays_s[i] = at_s[i] - start_s
            if i > 0 and start_s == at_s[i - 1]:
                stays_s[i] += stays_s[i - 1]
    return stays_s


@kernel
def _stays_from(at_s: Floats, gap_m: Floats, is_jump_after: Flags, length_s: float, max_speed_mps: float) -> Floats:
    """Give for each fix in the circle how long a stay that it starts can have been; 0 for the others."""
    stays_s = np.zeros(at_s.size)
    for i in range(at_s.size - 1, -1, -1):
        if _is_inside(at_s, gap_m, i, length_s):
            _, end_s = _stay(at_s, gap_m, is_jump_after, i, i + 1, length_s, max_speed_mps)
            stays_s[i] = end_s - at_s[i]
            if i < at_s.size - 1 and end_s == at_s[i + 1]:
                stays_s[i] += stays_s[i + 1]
    return stays_s


@kernel
def _is_inside(at_s: Floats, gap_m: Floats, i: int, length_s: float) -> bool:
    return bool(gap_m[i] == 0 and 0 <= at_s[i] <= length_s)


@kernel
def _stay(
    at_s: Floats, gap_m: Floats, is_jump_after: Flags, i: int, j: int, length_s: float, max_speed_mps: float
) -> tuple[float, float]:
    """Give the earliest arrival and the latest departure between fixes i and j; -1 and n stand for none.

    After a jump, whichever of the two alone leaves more.
    """
    arrive_s = max(at_s[i] + gap_m[i] / max_speed_mps, 0.0) if i >= 0 else 0.0
    depart_s = min(at_s[j] - gap_m[j] / max_speed_mps, length_s) if j < at_s.size else length_s
    if i >= 0 and j < at_s.size and is_jump_after[i, j - i - 1]:
        open_s, close_s = max(at_s[i], 0.0), min(at_s[j], length_s)
        return (arrive_s, close_s) if close_s - arrive_s > depart_s - open_s else (open_s, depart_s)
    return arrive_s, depart_s
