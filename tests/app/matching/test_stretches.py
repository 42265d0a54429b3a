"""What is read of the stored trails: all that can matter, once, in parts, and nothing for years without pings."""

from itertools import pairwise
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyproj import Geod

from app.matching import stretches as module
from app.matching.open_incidents import OpenIncidents
from app.matching.stretches import (
    Runs,
    anywhere,
    boxes_around,
    hours_near,
    parts_of,
    runs_of,
    stretches_about,
)
from app.pings.payload import PING
from app.trails.box import SealedHours
from app.trails.store import Stretches
from matcher.context import Incident
from matcher.incidents import Incidents
from matcher.join import Between, space_time_join
from matcher.profile import RADIUS_100M, STANDARD, Profile
from matcher.trails import Trails, trails_from_columns
from tests.app.matching.world import Fix, World

BETWEEN = Between(300.0, 60.0)
GEOD = Geod(ellps="WGS84")
GAP_US = 300_000_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
MIDNIGHT_S = 12 * 3_600.0
# Further than a line of 300 s at 60 m/s and a radius of 100 m.
NEAR_KM, FAR_KM = 18.0, 18.5
DEGREE_KM = 111.2


def incidents_at(
    *places: tuple[float, float], from_us: int = 0, to_us: int = HOUR_US, profile: Profile = RADIUS_100M
) -> OpenIncidents:
    incidents = OpenIncidents()
    incidents._profiles[1] = profile
    for lon_deg, lat_deg in places:
        incidents._put(uuid4(), Incident(lon_deg, lat_deg, "BIAD", from_us, to_us), profile)
    return incidents


def run_at(lon_deg: float, lat_deg: float) -> Runs:
    pings = np.zeros(2, PING)
    pings["fixed_at_us"] = 60_000_000, 120_000_000
    pings["lon_e7"], pings["lat_e7"] = round(lon_deg * 1e7), round(lat_deg * 1e7)
    return runs_of(pings)


def is_read(runs: Runs, incidents: OpenIncidents) -> bool:
    return stretches_about(runs, incidents)[1].device_id.size > 0


@pytest.mark.parametrize("lat_deg", [0.0, 53.8, -70.0, 84.0])
def test_a_run_is_read_if_a_line_could_lead_from_it_into_a_circle(lat_deg: float) -> None:
    km_east_deg = 1 / (DEGREE_KM * np.cos(np.radians(lat_deg)))
    for lon_deg in (10.0, 179.999, -179.999):
        incidents = incidents_at((lon_deg, lat_deg))
        east = (lon_deg + NEAR_KM * km_east_deg + 180) % 360 - 180
        west = (lon_deg - NEAR_KM * km_east_deg + 180) % 360 - 180
        assert is_read(run_at(east, lat_deg), incidents)
        assert is_read(run_at(west, lat_deg), incidents)
        assert is_read(run_at(lon_deg, lat_deg + NEAR_KM / DEGREE_KM), incidents)
        assert is_read(run_at(lon_deg, lat_deg - NEAR_KM / DEGREE_KM), incidents)


def test_a_run_that_no_incident_is_near_is_not_read() -> None:
    incidents = incidents_at((10.0, 50.0))
    assert not is_read(run_at(10.0, 50.0 + FAR_KM / DEGREE_KM), incidents)
    assert not is_read(run_at(10.0 + FAR_KM / DEGREE_KM / np.cos(np.radians(50.0)) * 1.01, 50.0), incidents)
    assert not is_read(run_at(10.0, 50.0), incidents_at((10.0, 50.0), from_us=DAY_US, to_us=DAY_US))


def test_nearness_is_found_of_each_run_by_itself() -> None:
    incidents = incidents_at((10.0, 50.0), (20.0, 50.0), (30.0, 50.0))
    pings = np.zeros(8, PING)
    pings["device_id"] = np.arange(8)
    pings["lon_e7"] = np.arange(0, 40, 5) * 10_000_000
    pings["lat_e7"] = 500_000_000
    assert stretches_about(runs_of(pings), incidents)[1].device_id.tolist() == [2, 4, 6]


def test_a_run_of_which_no_place_is_known_is_read() -> None:
    one = Stretches(np.array([7], np.int32), np.array([0]), np.array([HOUR_US]))
    assert is_read(anywhere(one), incidents_at((-179.0, 84.0)))


def test_no_pings_are_no_runs() -> None:
    assert runs_of(np.zeros(0, PING)).device_id.size == 0
    assert not is_read(runs_of(np.zeros(0, PING)), incidents_at((0.0, 0.0)))


ONE_STRETCH = st.tuples(st.integers(1, 3), st.integers(0, 10 * 24), st.integers(0, 5 * 24))


@given(st.lists(ONE_STRETCH, min_size=1, max_size=8), st.sets(st.integers(0, 15)), st.integers(20, 60))
def test_every_line_of_the_stored_days_is_whole_in_some_part(
    stretches: list[tuple[int, int, int]], days: set[int], part_hours: int
) -> None:
    device, from_h, length_h = (np.array(column) for column in zip(*stretches, strict=True))
    wanted = Stretches(device.astype(np.int32), from_h * HOUR_US, (from_h + length_h) * HOUR_US)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "PART_US", part_hours * HOUR_US)
        parts = list(parts_of(wanted, BETWEEN, np.array(sorted(days), dtype=np.int64)))
    for part in parts:
        # Of one part no ping is read twice, and one of the last pieces alone may exceed the bound.
        for number in set(part.device_id.tolist()):
            mine = part.device_id == number
            ordered = np.argsort(part.from_us[mine])
            assert np.all(part.from_us[mine][ordered][1:] > part.to_us[mine][ordered][:-1])
        assert (part.to_us - part.from_us).sum() <= part_hours * HOUR_US + DAY_US + 2 * GAP_US
    for number, from_us, to_us in zip(*(column.tolist() for column in wanted), strict=True):
        # None on midnight, so that some lines lead over it.
        moments = np.arange(from_us + GAP_US // 2, to_us + 1, GAP_US)
        stored = [us for us in moments.tolist() if us // DAY_US in days]
        for one, other in pairwise(stored):
            if other - one == GAP_US:
                assert any(
                    np.any((part.device_id == number) & (part.from_us <= one) & (part.to_us >= other)) for part in parts
                )


def test_an_incident_that_may_have_happened_in_any_year_is_read_for_the_days_that_are_stored() -> None:
    incidents = incidents_at((0.0, 50.0), from_us=0, to_us=250_000_000_000_000_000)
    selection = incidents.meeting(0, HOUR_US)
    boxes = [box for box, _ in boxes_around(selection, BETWEEN, np.array([3, 20_000]))]
    assert [(box.from_us + GAP_US) // module.PIECE_US for box in boxes] == [*range(18, 24), *range(120_000, 120_006)]


def test_a_box_holds_both_ends_of_every_line_into_a_window_and_out_of_it() -> None:
    incidents = incidents_at((0.0, 50.0), from_us=HOUR_US, to_us=2 * HOUR_US)
    (box, _), *others = boxes_around(incidents.meeting(0, DAY_US), BETWEEN, np.array([0]))
    padding_us = 600_000_000
    assert (box.from_us, box.to_us) == (HOUR_US - padding_us - GAP_US, 2 * HOUR_US + padding_us + GAP_US)
    assert others == []


@given(
    st.lists(st.tuples(st.floats(-180, 180, exclude_max=True), st.floats(-85, 85)), min_size=1, max_size=4),
    st.floats(0, 360),
    st.floats(0, 1),
)
@example([(0.05, 0.05), (-0.05, -0.05)], 225.0, 1.0)
@example([(179.9, 10.0), (0.0, 50.0)], 90.0, 1.0)
@example([(0.0, 50.164)], 180.0, 1.0)  # just into the next cell
def test_wherever_a_line_into_a_circle_begins_is_in_the_box_and_its_cells(
    places: list[tuple[float, float]], azimuth_deg: float, share: float
) -> None:
    selection = incidents_at(*places, profile=STANDARD).meeting(0, HOUR_US)
    reach_m = STANDARD.max_gap_s * STANDARD.max_speed_mps + selection.incidents.radius_m[0]
    ((box, _),) = boxes_around(selection, BETWEEN, np.array([0]))
    for place in places:
        lon_deg, lat_deg, _ = GEOD.fwd(*place, azimuth_deg, share * reach_m)
        lon_e7, lat_e7 = round(lon_deg * 1e7), round(lat_deg * 1e7)
        assert box.west_e7 <= lon_e7 <= box.east_e7
        assert box.south_e7 <= lat_e7 <= box.north_e7
        assert not box.cells.size or int(lat_e7 / 1e6) * 3601 + int(lon_e7 / 1e6) in box.cells


def test_of_a_country_only_the_cells_about_its_crimes_are_read() -> None:
    scattered = incidents_at(*((-4.0 + place, 51.0 + place % 3) for place in range(6)))
    ((box, _),) = boxes_around(scattered.meeting(0, HOUR_US), BETWEEN, np.array([0]))
    # Of a crime 0.34 degrees from north to south, and 0.55 from west to east: at most 5 by 7 cells.
    assert 6 * 3 * 5 <= box.cells.size <= 6 * 5 * 7


def test_crimes_all_over_the_earth_are_read_for_without_naming_cells() -> None:
    everywhere = incidents_at(*((lon, lat) for lon in range(-179, 180) for lat in range(-80, 81, 2)))
    ((box, _),) = boxes_around(everywhere.meeting(0, HOUR_US), BETWEEN, np.array([0]))
    assert box.cells.size == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_sealed_hours_that_are_wanted_hold_whatever_the_join_finds_in_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trails = wanderers(rng, devices=12, hours=9)
    incidents = incidents_beside(trails, rng, 60)
    selection = incidents.meeting(-DAY_US, 2 * DAY_US)
    everything = pairs(trails, selection.incidents)
    assert len(everything) > 40
    hours, hour_of_ping = sealed_hours(trails)
    found, wanted_hours, seen_hours = set(), 0, 0
    for box, part in boxes_around(selection, BETWEEN, np.array([0])):
        in_time = (hours.hour_us + HOUR_US > box.from_us) & (hours.hour_us <= box.to_us)
        seen = SealedHours._make(column[in_time] for column in hours)
        wanted = np.zeros(in_time.size, np.bool_)
        wanted[in_time] = hours_near(seen, box, part.incidents, BETWEEN)
        wanted_hours, seen_hours = wanted_hours + int(wanted.sum()), seen_hours + int(in_time.sum())
        number = {incident_id: row for row, incident_id in enumerate(selection.incident_id)}
        rows = wanted[hour_of_ping]
        device = np.repeat(trails.device_id, np.diff(trails.starts))
        read = trails_from_columns(device[rows], *(column[rows] for column in trails[2:]))
        found |= {(number[part.incident_id[one]], other) for one, other in pairs(read, part.incidents)}
    assert found == everything
    assert wanted_hours < seen_hours * 0.8


def wanderers(rng: np.random.Generator, devices: int, hours: int) -> Trails:
    """Tags that rest, walk or drive at up to the greatest speed of a line, with a fix every four minutes."""
    fixes = hours * 15
    at_us = np.arange(fixes) * 240_000_000 + rng.integers(0, 240_000_000, devices)[:, None]
    step_m = rng.choice([0.0, 5.0, 300.0, 13_000.0], (devices, fixes), p=[0.4, 0.3, 0.2, 0.1])
    bearing_rad = rng.uniform(0, 2 * np.pi, (devices, fixes))
    north_km, east_km = (np.cumsum(step_m * way(bearing_rad), axis=1) / 1_000 for way in (np.cos, np.sin))
    lat_deg = 53.0 + (rng.uniform(-40, 40, devices)[:, None] + north_km) / DEGREE_KM
    lon_deg = -1.5 + (rng.uniform(-40, 40, devices)[:, None] + east_km) / (DEGREE_KM * 0.6)
    columns = (np.rint(deg * 1e7).astype(np.int32).ravel() for deg in (lon_deg, lat_deg))
    return trails_from_columns(np.repeat(np.arange(devices), fixes), at_us.ravel(), *columns)


def incidents_beside(trails: Trails, rng: np.random.Generator, number: int) -> OpenIncidents:
    """Crimes of some minutes somewhere on the way between two fixes, most where an hour changes."""
    hour = trails.fixed_at_us // HOUR_US
    one = np.flatnonzero(hour[1:] != hour[:-1])
    one = np.concatenate(
        [rng.choice(one[hour[one + 1] > hour[one]], number // 2), rng.integers(0, hour.size - 1, number // 2)]
    )
    share = rng.uniform(0, 1, one.size)
    lon_deg, lat_deg = (column[one] / 1e7 + share * (column[one + 1] - column[one]) / 1e7 for column in trails[3:])
    incidents = incidents_at()
    for lon, lat, from_us in zip(lon_deg.tolist(), lat_deg.tolist(), trails.fixed_at_us[one].tolist(), strict=True):
        incidents._put(uuid4(), Incident(lon, lat, "BIAD", from_us, from_us + 240_000_000), RADIUS_100M)
    return incidents


def sealed_hours(trails: Trails) -> tuple[SealedHours, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The hours of trails, and for each ping the row of its hour."""
    device = np.repeat(trails.device_id, np.diff(trails.starts))
    hour = trails.fixed_at_us // HOUR_US
    first = np.flatnonzero(np.append(True, (device[1:] != device[:-1]) | (hour[1:] != hour[:-1])))
    boxes = (extreme.reduceat(column, first) for column in trails[3:] for extreme in (np.minimum, np.maximum))
    hours = SealedHours(device[first].astype(np.int32), hour[first] * HOUR_US, *boxes)
    return hours, np.repeat(np.arange(first.size), np.diff(np.append(first, device.size)))


def pairs(trails: Trails, incidents: Incidents) -> set[tuple[int, int]]:
    hits = space_time_join(trails, incidents, BETWEEN)
    return set(zip(hits.incident.tolist(), trails.device_id[hits.device].tolist(), strict=True))


async def test_a_line_over_midnight_is_found_whichever_comes_first(world: World) -> None:
    for number, order in enumerate(("crime first", "pings first")):
        away_m = 40_000.0 * number
        device, _ = await world.worn_device(order)
        line = Fix(MIDNIGHT_S - 30, away_m - 400), Fix(MIDNIGHT_S + 30, away_m + 400)
        if order == "pings first":
            await world.pings(device, *line)
            await world.settle()
        await world.crime(order, from_s=MIDNIGHT_S, to_s=MIDNIGHT_S, north_m=away_m)
        await world.settle()
        if order == "crime first":
            await world.pings(device, *line)
            await world.settle()
        assert await world.matches() == {(name, name): 0 for name in ("crime first", "pings first")[: number + 1]}
