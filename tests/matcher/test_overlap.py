import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from matcher.overlap import overlap_share


@given(st.floats(0, 500), st.floats(1, 300), st.floats(1, 300))
def test_it_is_the_area_integrated_in_strips(distance_m: float, radius_m: float, accuracy_m: float) -> None:
    assert overlap_share(distance_m, radius_m, accuracy_m) == pytest.approx(
        _in_strips(distance_m, radius_m, accuracy_m), abs=1e-6
    )


@pytest.mark.parametrize(
    ("distance_m", "radius_m", "accuracy_m", "share"),
    [
        (0, 100, 50, 1),
        (50, 100, 50, 1),
        (150, 100, 50, 0),
        (151, 100, 50, 0),
        (0, 100, 200, 0.25),
        (100, 100, 200, 0.25),
        (0, 100, 0, 1),
        (100, 100, 0, 1),
        (100.001, 100, 0, 0),
        (0, 100, 100, 1),
        # Two equal circles through each other's centres: (2π/3 − √3/2)/π of either.
        (100, 100, 100, 2 / 3 - math.sqrt(3) / (2 * math.pi)),
    ],
)
def test_touching_and_nested_circles(distance_m: float, radius_m: float, accuracy_m: float, share: float) -> None:
    assert overlap_share(distance_m, radius_m, accuracy_m) == pytest.approx(share, abs=1e-12)


@given(st.floats(100.0001, 400), st.floats(0.1, 300))
def test_a_position_outside_has_less_than_half_inside(distance_m: float, accuracy_m: float) -> None:
    assert overlap_share(distance_m, 100.0, accuracy_m) < 0.5


def _in_strips(distance_m: float, radius_m: float, accuracy_m: float) -> float:
    def strip(along_m: float) -> float:
        own = accuracy_m**2 - (along_m - distance_m) ** 2
        other = radius_m**2 - along_m**2
        return 2 * math.sqrt(max(min(own, other), 0.0))

    low, high = max(distance_m - accuracy_m, -radius_m), min(distance_m + accuracy_m, radius_m)
    if low >= high:
        return 0.0
    kink = (distance_m**2 + radius_m**2 - accuracy_m**2) / (2 * distance_m) if distance_m > 0 else low
    points = [kink] if low < kink < high else None
    area_m2, _ = quad(strip, low, high, points=points, limit=200, epsabs=1e-7, epsrel=1e-10)
    return float(area_m2 / (math.pi * accuracy_m**2))
