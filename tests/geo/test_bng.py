import numpy as np
import pytest

from geo.bng import bng_from_lonlat, lonlat_from_bng

# Caister water tower: the worked example of the Ordnance Survey's "Transformations and OSGM15 User Guide", annexe A.
CAISTER_LONLAT = (1.716073973, 52.658007833)
CAISTER_BNG = (651409.804, 313177.450)


def test_the_ordnance_surveys_worked_example_comes_out_to_the_millimetre() -> None:
    (easting_m,), (northing_m,) = bng_from_lonlat(*CAISTER_LONLAT)
    assert (round(easting_m, 3), round(northing_m, 3)) == CAISTER_BNG


def test_the_worked_example_comes_back() -> None:
    (lon_deg,), (lat_deg,) = lonlat_from_bng(*CAISTER_BNG)
    assert (lon_deg, lat_deg) == pytest.approx(CAISTER_LONLAT, abs=5e-9)  # under a millimetre


def test_grid_coordinates_go_there_and_back_within_a_millimetre() -> None:
    random = np.random.default_rng(0)
    easting_m, northing_m = random.uniform(300_000, 550_000, 1_000), random.uniform(150_000, 500_000, 1_000)
    back_m = bng_from_lonlat(*lonlat_from_bng(easting_m, northing_m))
    np.testing.assert_allclose(back_m, (easting_m, northing_m), rtol=0, atol=1e-3)


@pytest.mark.parametrize("point", [(0.0, 0.0), (700_001.0, 1_300_001.0), (float("nan"), 1.0)])
def test_a_grid_point_without_coverage_is_refused_with_its_value(point: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=f"{point[0]}, {point[1]} is outside"):
        lonlat_from_bng(*point)


def test_the_first_position_without_coverage_is_named() -> None:
    with pytest.raises(ValueError, match=r"2\.35, 48\.85 is outside"):
        bng_from_lonlat([-0.1, 2.35, 9.0], [51.5, 48.85, 9.0])


def test_no_points_give_no_points() -> None:
    easting_m, northing_m = bng_from_lonlat([], [])
    assert easting_m.size == northing_m.size == 0
