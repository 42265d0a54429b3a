"""How much of a circle of accuracy lies in the circle of a crime."""

import math

from geo.jit import kernel


@kernel
def overlap_share(distance_m: float, radius_m: float, accuracy_m: float) -> float:
    """Give the share, 0 to 1, of a circle of radius accuracy_m that lies in another of radius_m whose centre is off.

    The area that two circles have in common is two segments, each a sector less a triangle (E. W. Weisstein,
    "Circle-Circle Intersection", MathWorld). An accuracy of 0 is a point, in or out. Absolute error under 1e-9 for
    radii that differ by less than a factor of 1,000.
    """
    if distance_m >= radius_m + accuracy_m:
        return 1.0 if accuracy_m == 0 and distance_m <= radius_m else 0.0
    if distance_m <= radius_m - accuracy_m:
        return 1.0
    if distance_m <= accuracy_m - radius_m:
        return (radius_m / accuracy_m) * (radius_m / accuracy_m)
    # Where the line between the two edges' crossings lies, seen from either centre.
    off_m = (distance_m * distance_m + radius_m * radius_m - accuracy_m * accuracy_m) / (2 * distance_m)
    area_m2 = _segment_m2(radius_m, off_m) + _segment_m2(accuracy_m, distance_m - off_m)
    return area_m2 / (math.pi * accuracy_m * accuracy_m)


@kernel
def _segment_m2(radius_m: float, off_m: float) -> float:
    """Give the area that a line so far from the centre cuts off a circle."""
    along = min(max(off_m / radius_m, -1.0), 1.0)
    half_chord_m = radius_m * math.sqrt(1 - along * along)
    return radius_m * radius_m * math.acos(along) - off_m * half_chord_m
