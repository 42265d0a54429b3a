import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geo.plane import place_in, plane_at
from geo.wgs84 import offset_and_distance_m

GEOD = Geod(ellps="WGS84")

lons_deg = st.floats(-180, 180)
lats_deg = st.floats(-85, 85)
azimuths_deg = st.floats(0, 360)


@pytest.mark.parametrize(("away_m", "tolerance_m"), [(500, 1e-8), (10_000, 2e-5), (50_000, 0.01), (100_000, 0.2)])
def test_the_series_are_where_the_sines_are(away_m: float, tolerance_m: float) -> None:
    @given(lons_deg, lats_deg, azimuths_deg)
    def check(lon_deg: float, lat_deg: float, azimuth_deg: float) -> None:
        lon1_deg, lat1_deg, _ = GEOD.fwd(lon_deg, lat_deg, azimuth_deg, away_m)
        lon_e7, lat_e7 = round(lon1_deg * 1e7), round(lat1_deg * 1e7)
        expected = offset_and_distance_m(lon_deg, lat_deg, lon_e7 / 1e7, lat_e7 / 1e7)
        assert place_in(plane_at(lon_deg, lat_deg), lon_e7, lat_e7) == pytest.approx(expected, abs=tolerance_m)

    check()


@given(lons_deg, lats_deg, lons_deg, st.floats(-90, 90))
def test_what_is_far_off_is_where_the_sines_are(
    lon_deg: float, lat_deg: float, lon1_deg: float, far_deg: float
) -> None:
    lon_e7, lat_e7 = round(lon1_deg * 1e7), round(far_deg * 1e7)
    x_m, y_m, away_m = place_in(plane_at(lon_deg, lat_deg), lon_e7, lat_e7)
    expected_m = offset_and_distance_m(lon_deg, lat_deg, lon_e7 / 1e7, lat_e7 / 1e7)[2]
    assert away_m == pytest.approx(expected_m, rel=2e-5, abs=1e-6)
    assert math.hypot(x_m, y_m) == pytest.approx(away_m, abs=0.01)


def test_the_place_itself_is_nowhere_else() -> None:
    assert place_in(plane_at(-2.6, 51.4), -26_000_000, 514_000_000) == (0.0, 0.0, 0.0)
