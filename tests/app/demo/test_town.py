from itertools import pairwise

import numpy as np
import pytest
from convertbng.cutil import convert_bng

from app.demo.town import Town, Use, make_town, to_wgs84
from app.demo.ways import Ways

SEEDS = (1, 2, 3, 20, 999)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_town_has_the_size_of_an_english_town(seed: int) -> None:
    assert 60_000 <= make_town(seed).people <= 100_000


@pytest.mark.parametrize("seed", SEEDS)
def test_every_street_can_be_reached_from_every_other(seed: int) -> None:
    town = make_town(seed)
    group = np.arange(town.junction_x_m.size)
    for _ in range(group.size):  # each pass hands the smallest number on, street by street
        before = group.copy()
        for one, other in (town.street_ends.T, town.street_ends.T[::-1]):
            np.minimum.at(group, one, group[other])
        if np.array_equal(before, group):
            break
    assert np.unique(group[town.street_ends]).size == 1


def test_every_front_door_stands_beside_its_street() -> None:
    town = make_town(1)
    from_street_m = distance_to_streets_m(town, town.address_street, town.address_x_m, town.address_y_m)
    assert from_street_m.min() >= 7.0 - 1e-9
    assert from_street_m.max() <= 14.0 + 1e-9


def test_there_are_homes_shops_and_work() -> None:
    uses = np.bincount(make_town(1).address_use)
    assert uses[Use.DWELLING] > 20_000
    assert uses[Use.SHOP] > 100
    assert uses[Use.WORKPLACE] > 100


def test_the_town_lies_within_the_national_grid_and_distances_there_are_the_towns() -> None:
    town = make_town(1)
    easting_m, northing_m = convert_bng(*to_wgs84(town.address_x_m, town.address_y_m))
    assert np.isfinite(easting_m).all()
    # The grid is turned against north by its convergence, and its scale is within 1 in 1,000.
    in_town_m = np.hypot(np.diff(town.address_x_m), np.diff(town.address_y_m))
    in_grid_m = np.hypot(np.diff(easting_m), np.diff(northing_m))
    np.testing.assert_allclose(in_grid_m, in_town_m, rtol=1.5e-3, atol=0.01)


def test_a_way_follows_streets_and_is_the_shortest_on_foot() -> None:
    town = make_town(3)
    ways = Ways(town)
    streets = {frozenset(ends) for ends in town.street_ends.tolist()}
    draw = np.random.default_rng(0)
    for start, end in draw.integers(town.address_x_m.size, size=(40, 2)).tolist():
        way = ways.between_addresses(start, end, on_foot=True)
        assert all(frozenset(pair) in streets for pair in pairwise(way))
        # At both ends the way leaves by a corner of the address's own street.
        for address, junction in ((start, way[0]), (end, way[-1])):
            assert junction in town.street_ends[town.address_street[address]]
        assert way_m(town, way) == pytest.approx(shortest_m(town, way[0])[way[-1]])


def distance_to_streets_m(town: Town, street: np.ndarray, x_m: np.ndarray, y_m: np.ndarray) -> np.ndarray:
    """Metres from each point to the line of the street given for it."""
    one, other = town.street_ends[street].T
    east_m = town.junction_x_m[other] - town.junction_x_m[one]
    north_m = town.junction_y_m[other] - town.junction_y_m[one]
    off_m = (x_m - town.junction_x_m[one]) * north_m - (y_m - town.junction_y_m[one]) * east_m
    away_m: np.ndarray = np.abs(off_m) / town.street_length_m[street]
    return away_m


def way_m(town: Town, way: list[int]) -> float:
    return float(np.hypot(np.diff(town.junction_x_m[way]), np.diff(town.junction_y_m[way])).sum())


def shortest_m(town: Town, start: int) -> np.ndarray:
    """Bellman and Ford's way, which has nothing in common with the one under test."""
    away_m = np.full(town.junction_x_m.size, np.inf)
    away_m[start] = 0.0
    while True:
        before_m = away_m.copy()
        for one, other in (town.street_ends.T, town.street_ends.T[::-1]):
            np.minimum.at(away_m, one, away_m[other] + town.street_length_m)
        if np.array_equal(before_m, away_m):
            return away_m
