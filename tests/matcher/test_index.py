"""The grid of incidents where it is stretched: buckets shared by all, runs too wide to be looked up at once."""

import numpy as np
import pytest

from matcher import index
from matcher.hits import Hits
from matcher.incidents import Incidents
from matcher.index import incident_grid
from matcher.join import Between, space_time_join
from matcher.trails import Trails, trails_from_columns

S = 1_000_000
BETWEEN = Between(300, 60)


def _drive(pings: int, lon_e7: int, step_e7: int) -> Trails:
    """One device, a ping a minute, each so much further east than the one before; round the Earth if it is far."""
    at = np.arange(pings)
    lons_e7 = (lon_e7 + at * step_e7 + 1_800_000_000) % 3_600_000_000 - 1_800_000_000
    return trails_from_columns(np.zeros(pings), at * 60 * S, lons_e7, np.full(pings, 514_500_000))


def _along(trails: Trails, radius_m: float) -> Incidents:
    """An incident at every seventh ping, all the time."""
    lon_deg, lat_deg = trails.lon_e7[::7] / 1e7, trails.lat_e7[::7] / 1e7
    always = np.full(lon_deg.size, 10**12)
    return Incidents(lon_deg, lat_deg, np.full(lon_deg.size, radius_m), -always, always)


def _equal(one: Hits, other: Hits) -> None:
    for column, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(column, same)


@pytest.mark.parametrize("between", [None, BETWEEN])
def test_that_all_blocks_share_a_bucket_changes_nothing(
    between: Between | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    trails = _drive(200, -26_000_000, 3_000)
    incidents = _along(trails, 700.0)
    expected = space_time_join(trails, incidents, between)
    monkeypatch.setattr(index, "FEWEST_BUCKETS", 1)
    monkeypatch.setattr(index, "BUCKETS_PER_KEY", 0)
    grid = incident_grid(incidents)
    assert grid.tables.buckets.size == grid.tables.levels.size + 1
    hits = space_time_join(trails, grid, between)
    assert hits.incident.size == incidents.lon_deg.size
    _equal(hits, expected)


@pytest.mark.parametrize("step_e7", [10_000, 50_000, 400_000, 200_000_000])
@pytest.mark.parametrize("lon_e7", [-26_000_000, 1_799_500_000, 1_000_000_000])
def test_a_long_run_however_wide_meets_what_its_pings_meet_alone(step_e7: int, lon_e7: int) -> None:
    trails = _drive(130, lon_e7, step_e7)
    incidents = _along(trails, 40.0)
    hits = space_time_join(trails, incidents, BETWEEN)
    assert hits.incident.tolist() == list(range(incidents.lon_deg.size))
    for ping in range(0, 130, 13):
        few = slice(max(ping - 1, 0), ping + 2)
        times_us = trails.fixed_at_us[few]
        part = Trails(trails.device_id, np.array([0, times_us.size]), times_us, trails.lon_e7[few], trails.lat_e7[few])
        alone = space_time_join(part, incidents, BETWEEN)
        assert set(alone.incident.tolist()) <= set(hits.incident.tolist())
    if step_e7 <= 400_000:  # 46 m/s: the lines count
        is_inner = slice(1, -1)
        assert np.all(hits.inside_s[is_inner] > 0)
        np.testing.assert_allclose(hits.inside_s[is_inner], hits.inside_s[1], rtol=1e-3)


def test_a_circle_of_many_kilometres_across_the_antimeridian_counts_each_ping_once() -> None:
    trails, always = _drive(130, 1_799_500_000, 10_000), np.array([10**12])
    incidents = Incidents(np.array([180.0]), np.array([51.45]), np.array([90_000.0]), -always, always)
    assert space_time_join(trails, incidents).n_pings.tolist() == [130]


@pytest.mark.parametrize("days", [20, 60, 4_000])
def test_a_line_through_more_slots_than_are_looked_at_meets_every_incident_beside_it(days: int) -> None:
    end_us = days * 86_400 * S
    trails = trails_from_columns([1, 1], [0, end_us], [-26_000_000, -25_990_000], [514_500_000, 514_500_000])
    from_us = np.arange(7) * (end_us // 7)
    everywhere = np.full(from_us.size, -2.5995)
    incidents = Incidents(everywhere, np.full(from_us.size, 51.45), np.full(from_us.size, 90.0), from_us, from_us + S)
    hits = space_time_join(trails, incidents, Between(days * 86_400.0, 0.0005))
    assert hits.incident.tolist() == list(range(from_us.size))
    np.testing.assert_allclose(hits.inside_s, 1.0)
    beside = incidents._replace(lat_deg=incidents.lat_deg + 0.01)
    assert space_time_join(trails, beside, Between(days * 86_400.0, 0.0005)).incident.size == 0
