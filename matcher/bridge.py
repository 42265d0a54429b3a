"""A Brownian bridge: where a wearer was between two fixes, and how likely inside a circle."""

import math
from typing import Final, NamedTuple

from geo.jit import kernel
from matcher.circle import inside_probability
from matcher.throughout import Runs, follow

# Where the edge is further off than so many standard deviations all along, P is 0 or 1 within exp(−k²/2) = 3e-7.
_CERTAIN: Final = 5.5
# Pieces shorter than this part of a bridge are not halved further.
_SHORTEST: Final = 1e-5
# A step over which the probability changes by no more than so many times the tolerance is not halved.
_EVEN: Final = 50.0
# Steps of the golden section that shrink an interval a thousandfold.
_GOLDEN_STEPS: Final = 15
_GOLDEN: Final = (math.sqrt(5) - 1) / 2


class Bridge(NamedTuple):
    """The stretch between two fixes, in the plane about a place, and the circle about that place."""

    x_m: float  # first fix
    y_m: float
    along_x_m: float  # from the first to the second
    along_y_m: float
    seconds: float  # from the first to the second, over 0
    mobility_m2ps: float
    before_m2: float  # variance of the first fix and
    after_m2: float  # of the second, in each axis
    place_m2: float  # of the place
    radius_m: float


# Stands for a bridge that nothing is asked of.
NO_BRIDGE: Final = Bridge(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Stretch(NamedTuple):
    """What a part of a bridge comes to. Parts of the bridge are numbered from 0 at its first fix to 1 at its second."""

    inside: float  # integral of the probability over the part
    weighted: float  # the same with the weight
    highest: float  # highest probability looked at
    at: float  # where, the first of equal ones
    beside: float  # how far from there the nearest other ones looked at lie


@kernel
def probability_at(bridge: Bridge, part: float) -> float:
    """Give the probability that the wearer is in the circle at one part of the bridge."""
    x_m = bridge.x_m + part * bridge.along_x_m
    y_m = bridge.y_m + part * bridge.along_y_m
    return inside_probability(math.sqrt(x_m * x_m + y_m * y_m), bridge.radius_m, math.sqrt(variance_at(bridge, part)))


@kernel
def variance_at(bridge: Bridge, part: float) -> float:
    """Give the variance in each axis: Horne, Garton, Krone and Lewis, Ecology 88, 2354 (2007), and the place's own."""
    rest = 1 - part
    moved_m2 = bridge.seconds * part * rest * bridge.mobility_m2ps
    return moved_m2 + rest * rest * bridge.before_m2 + part * part * bridge.after_m2 + bridge.place_m2


@kernel
def certainty(bridge: Bridge) -> float:
    """Give 1 where the wearer is inside all along, 0 where nowhere, else NaN; what is certain is so within 3e-7."""
    widest_m2 = bridge.seconds * bridge.mobility_m2ps / 4 + max(bridge.before_m2, bridge.after_m2) + bridge.place_m2
    blur_m = _CERTAIN * math.sqrt(widest_m2)
    end_x_m, end_y_m = bridge.x_m + bridge.along_x_m, bridge.y_m + bridge.along_y_m
    furthest_m2 = max(bridge.x_m * bridge.x_m + bridge.y_m * bridge.y_m, end_x_m * end_x_m + end_y_m * end_y_m)
    if blur_m < bridge.radius_m and furthest_m2 < (bridge.radius_m - blur_m) * (bridge.radius_m - blur_m):
        return 1.0
    nearest = nearest_part(bridge)
    x_m, y_m = bridge.x_m + nearest * bridge.along_x_m, bridge.y_m + nearest * bridge.along_y_m
    if x_m * x_m + y_m * y_m > (bridge.radius_m + blur_m) * (bridge.radius_m + blur_m):
        return 0.0
    return math.nan


@kernel
def near_parts(bridge: Bridge) -> tuple[float, float]:
    """Give the parts between which the line is so near that the circle may be reached, as `certainty` bounds it.

    The first is after the second where it is nowhere.
    """
    widest_m2 = bridge.seconds * bridge.mobility_m2ps / 4 + max(bridge.before_m2, bridge.after_m2) + bridge.place_m2
    reach_m = bridge.radius_m + _CERTAIN * math.sqrt(widest_m2)
    square_m2 = bridge.along_x_m * bridge.along_x_m + bridge.along_y_m * bridge.along_y_m
    if square_m2 == 0:
        is_near = bridge.x_m * bridge.x_m + bridge.y_m * bridge.y_m <= reach_m * reach_m
        return (0.0, 1.0) if is_near else (1.0, 0.0)
    foot = -(bridge.x_m * bridge.along_x_m + bridge.y_m * bridge.along_y_m) / square_m2
    x_m, y_m = bridge.x_m + foot * bridge.along_x_m, bridge.y_m + foot * bridge.along_y_m
    within_m2 = reach_m * reach_m - x_m * x_m - y_m * y_m
    if within_m2 < 0:
        return 1.0, 0.0
    half = math.sqrt(within_m2 / square_m2)
    return max(foot - half, 0.0), min(foot + half, 1.0)


@kernel
def nearest_part(bridge: Bridge) -> float:
    """Give the part at which the line comes nearest to the place; 0 where it stands still."""
    square_m2 = bridge.along_x_m * bridge.along_x_m + bridge.along_y_m * bridge.along_y_m
    if square_m2 == 0:
        return 0.0
    return min(max(-(bridge.x_m * bridge.along_x_m + bridge.y_m * bridge.along_y_m) / square_m2, 0.0), 1.0)


@kernel
def integrate(
    bridge: Bridge,
    before_s: float,
    start: float,
    end: float,
    at_start: float,
    at_end: float,
    start_weight: float,
    end_weight: float,
    tolerance: float,
    runs: Runs,
) -> Stretch:
    """Integrate the probability, and its product with a weight that changes evenly, over the parts start < end.

    at_start, at_end: the probabilities there. The tolerance is the mean error that each piece may have. before_s: when
    the bridge begins, for the runs, which are told what is looked at.
    """
    slope = (end_weight - start_weight) / (end - start)
    found = Stretch(0.0, 0.0, at_start, start, 0.0)
    left, p_left = start, at_start
    for split in _splits(bridge, end):
        right = min(max(split, left), end)
        if right - left > _SHORTEST or (split == end and right > left):
            p_right = at_end if right == end else probability_at(bridge, right)
            weight = start_weight + (left - start) * slope
            found = _add(
                found, _adaptive_simpson(bridge, before_s, left, right, p_left, p_right, weight, slope, tolerance, runs)
            )
            left, p_left = right, p_right
    return found


@kernel
def _splits(bridge: Bridge, end: float) -> tuple[float, float, float, float]:
    """Where the line enters the circle, comes nearest, and leaves: a short visit would fall between the points.

    A line shorter than the blur or than half the radius needs none: Simpson's points see what it does.
    """
    square_m2 = bridge.along_x_m * bridge.along_x_m + bridge.along_y_m * bridge.along_y_m
    blur_m2 = min(bridge.before_m2, bridge.after_m2) + bridge.place_m2
    if square_m2 <= max(blur_m2, bridge.radius_m * bridge.radius_m / 4):
        return end, end, end, end
    nearest = nearest_part(bridge)
    x_m, y_m = bridge.x_m + nearest * bridge.along_x_m, bridge.y_m + nearest * bridge.along_y_m
    within_m2 = bridge.radius_m * bridge.radius_m - x_m * x_m - y_m * y_m
    half = math.sqrt(within_m2 / square_m2) if within_m2 > 0 else 0.0
    return nearest - half, nearest, nearest + half, end


@kernel
def _add(one: Stretch, other: Stretch) -> Stretch:
    best = other if other.highest > one.highest else one
    return Stretch(one.inside + other.inside, one.weighted + other.weighted, best.highest, best.at, best.beside)


@kernel
def _adaptive_simpson(
    bridge: Bridge,
    before_s: float,
    start: float,
    end: float,
    p0: float,
    p4: float,
    weight: float,
    slope: float,
    tolerance: float,
    runs: Runs,
) -> Stretch:
    """Simpson's rule from start to end, in steps that are halved until that changes little, and Richardson's last term.

    p0, p4: the probabilities at start and end. The weight is that at the start, the slope its change over a whole
    bridge. (W. M. McKeeman, Communications of the ACM 5, 604, 1962.) A step over which the probability hardly
    changes is not halved to see: there the rule is off by much less than the change.
    """
    inside = weighted = 0.0
    left, step = start, end - start
    highest, at, beside = p0, start, step
    p2 = probability_at(bridge, start + step / 2)
    while True:
        if max(p2, p4) > highest:
            highest, at, beside = (p2, left + step / 2, step / 2) if p2 >= p4 else (p4, left + step, step)
        mean = (p0 + 4 * p2 + p4) / 6
        moment = (2 * p2 + p4) / 6
        p1 = p3 = math.nan
        if max(p0, p2, p4) - min(p0, p2, p4) > _EVEN * tolerance:
            p1, p3 = probability_at(bridge, left + step / 4), probability_at(bridge, left + 3 * step / 4)
            if p1 > highest:
                highest, at, beside = p1, left + step / 4, step / 4
            if p3 > highest:
                highest, at, beside = p3, left + 3 * step / 4, step / 4
            change = (p0 + 4 * p1 + 2 * p2 + 4 * p3 + p4) / 12 - mean
            if abs(change) > 15 * tolerance and step > _SHORTEST:
                step /= 2
                p2, p4 = p1, p2
                continue
            mean += change * 16 / 15
            moment = (p1 + p2 + 3 * p3 + p4) / 12
        _tell(runs, bridge, before_s, left, step, (p1, p2, p3, p4))
        inside += step * mean
        # The mean of the weight times P, the weight taken from the step's start.
        weighted += step * ((weight + (left - start) * slope) * mean + slope * step * moment)
        left += step
        if end - left <= _SHORTEST * (end - start):
            return Stretch(inside, weighted, highest, at, beside)
        step = min(2 * step, end - left)
        p0 = p4
        p2, p4 = probability_at(bridge, left + step / 2), probability_at(bridge, left + step)


@kernel
def _tell(
    runs: Runs,
    bridge: Bridge,
    before_s: float,
    left: float,
    step: float,
    quarters: tuple[float, float, float, float],
) -> None:
    """Tell the runs what was looked at: the first and third quarter of a step only where they were."""
    for quarter in range(4):
        if not math.isnan(quarters[quarter]):
            part = left + (quarter + 1) * step / 4
            x_m, y_m = line_at(bridge, part)
            follow(runs, before_s + part * bridge.seconds, quarters[quarter], x_m, y_m)


@kernel
def line_at(bridge: Bridge, part: float) -> tuple[float, float]:
    """Give where the line is at one part of the bridge, metres east and north of the place."""
    return bridge.x_m + part * bridge.along_x_m, bridge.y_m + part * bridge.along_y_m


@kernel
def highest_between(bridge: Bridge, start: float, end: float) -> tuple[float, float]:
    """Give the highest probability between two parts, and where, by the golden section.

    (J. Kiefer, Proceedings of the American Mathematical Society 4, 502, 1953.)
    """
    one, other = end - _GOLDEN * (end - start), start + _GOLDEN * (end - start)
    p_one, p_other = probability_at(bridge, one), probability_at(bridge, other)
    for _ in range(_GOLDEN_STEPS):
        if p_one >= p_other:
            end, other, p_other = other, one, p_one
            one = end - _GOLDEN * (end - start)
            p_one = probability_at(bridge, one)
        else:
            start, one, p_one = one, other, p_other
            other = start + _GOLDEN * (end - start)
            p_other = probability_at(bridge, other)
    return (p_one, one) if p_one >= p_other else (p_other, other)
