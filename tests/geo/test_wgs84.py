import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geo.wgs84 import bearing_rad, distance_m, offset_m

GEOD = Geod(ellps="WGS84")

lons_deg = st.floats(-180, 180)
azimuths_deg = st.floats(0, 360)


@pytest.mark.parametrize(("max_lat_deg", "tolerance_m"), [(70, 0.01), (80, 0.04)])
def test_a_distance_of_ten_kilometres_is_right_to_a_centimetre(max_lat_deg: float, tolerance_m: float) -> None:
    @given(lons_deg, st.floats(-max_lat_deg, max_lat_deg), azimuths_deg, st.floats(0, 10_000))
    def check(lon_deg: float, lat_deg: float, azimuth_deg: float, away_m: float) -> None:
        lon1_deg, lat1_deg, _ = GEOD.fwd(lon_deg, lat_deg, azimuth_deg, away_m)
        assert distance_m(lon_deg, lat_deg, lon1_deg, lat1_deg) == pytest.approx(away_m, abs=tolerance_m)

    check()


@given(lons_deg, st.floats(-70, 70), azimuths_deg, st.floats(0, 10_000))
def test_the_plane_about_a_point_keeps_direction_and_distance(
    lon_deg: float, lat_deg: float, azimuth_deg: float, away_m: float
) -> None:
    lon1_deg, lat1_deg, _ = GEOD.fwd(lon_deg, lat_deg, azimuth_deg, away_m)
    azimuth_rad = math.radians(azimuth_deg)
    expected = (away_m * math.sin(azimuth_rad), away_m * math.cos(azimuth_rad))
    assert offset_m(lon_deg, lat_deg, lon1_deg, lat1_deg) == pytest.approx(expected, abs=0.02)


def test_distance_is_the_same_both_ways() -> None:
    assert distance_m(-2.6, 51.4, -2.5, 51.5) == distance_m(-2.5, 51.5, -2.6, 51.4)


def test_the_antimeridian_is_crossed_the_shorter_way() -> None:
    _, _, expected_m = GEOD.inv(179.9999, 52, -179.9999, 52)
    assert distance_m(179.9999, 52, -179.9999, 52) == pytest.approx(expected_m, abs=0.001)
    assert distance_m(180, 52, -180, 52) == 0


@pytest.mark.parametrize(("lon_deg", "lat_deg", "expected_deg"), [(1, 0, 90), (0, 1, 0), (-1, 0, 270), (0, -1, 180)])
def test_a_bearing_goes_clockwise_from_north(lon_deg: float, lat_deg: float, expected_deg: float) -> None:
    assert math.degrees(bearing_rad(0, 0, lon_deg, lat_deg)) == pytest.approx(expected_deg)


def test_the_bearing_to_the_same_point_is_north() -> None:
    assert bearing_rad(-2.6, 51.4, -2.6, 51.4) == 0


def test_nan_stays_nan() -> None:
    assert math.isnan(distance_m(math.nan, 51, -2, 51))
