"""Marramstow, a town that does not exist: its streets and its addresses, drawn from a seed.

It lies in the middle of the Wash, which is open sea: inside the National Grid, and no real person lives at any of its
addresses. Everything is in metres east and north of its market place; `to_wgs84` says where that is on the Earth.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NAME = "Marramstow"
CENTRE_LON_DEG, CENTRE_LAT_DEG = 0.285, 52.920

_RADIUS_M = 3_000.0
_BLOCK_M = 125.0  # between two junctions
_PLOT_M = 17.0  # between two neighbouring front doors
_PEOPLE_A_DWELLING = 2.3
_LOOPS_KEPT = 0.58  # of the streets that the town would stay connected without; three streets meet at most junctions


class Use(IntEnum):
    """What an address is used for."""

    DWELLING = 0
    SHOP = 1
    WORKPLACE = 2


class Town(NamedTuple):
    """Streets between N junctions, S in all, and A addresses along them."""

    junction_x_m: Floats  # (N,)
    junction_y_m: Floats  # (N,)
    street_ends: Ints  # (S, 2), the junctions at both ends
    street_length_m: Floats  # (S,)
    address_street: Ints  # (A,)
    address_along_m: Floats  # (A,), from the street's first end to the front door
    address_x_m: Floats  # (A,)
    address_y_m: Floats  # (A,)
    address_use: Ints  # (A,), one of Use

    @property
    def people(self) -> int:
        """How many would live here."""
        return round(int(np.count_nonzero(self.address_use == Use.DWELLING)) * _PEOPLE_A_DWELLING)


def make_town(seed: int) -> Town:
    """The same seed gives the same town; some 30,000 dwellings. 10 ms."""
    draw = np.random.default_rng([seed, 1])
    x_m, y_m, lattice = _junctions(draw)
    ends = _streets(draw, lattice, x_m.size)
    length_m = np.hypot(x_m[ends[:, 0]] - x_m[ends[:, 1]], y_m[ends[:, 0]] - y_m[ends[:, 1]])
    street, along_m, address_x_m, address_y_m = _addresses(draw, x_m, y_m, ends, length_m)
    use = _uses(draw, address_x_m, address_y_m)
    return Town(x_m, y_m, ends, length_m, street, along_m, address_x_m, address_y_m, use)


def to_wgs84(x_m: Floats, y_m: Floats) -> tuple[Floats, Floats]:
    """Metres east and north of the market place as (lon, lat) degrees.

    One scale for each axis, from the ellipsoid's radii at the market place: distances across the town keep to within
    1 in 1,000, which is centimetres at the size of a crime's circle.
    """
    semi_major_m, e2 = 6_378_137.0, 0.006_694_379_990_14
    w2 = 1.0 - e2 * np.sin(np.radians(CENTRE_LAT_DEG)) ** 2
    along_meridian_m = semi_major_m * (1.0 - e2) / w2**1.5
    along_parallel_m = semi_major_m / np.sqrt(w2) * np.cos(np.radians(CENTRE_LAT_DEG))
    return (
        CENTRE_LON_DEG + np.degrees(x_m / along_parallel_m),
        CENTRE_LAT_DEG + np.degrees(y_m / along_meridian_m),
    )


def _junctions(draw: np.random.Generator) -> tuple[Floats, Floats, Ints]:
    """Positions of the junctions, and the lattice that they were pushed out of, −1 outside the town."""
    half = int(_RADIUS_M * 1.3 / _BLOCK_M)
    column, row = np.meshgrid(np.arange(-half, half + 1), np.arange(-half, half + 1))
    x_m, y_m = column * _BLOCK_M, row * _BLOCK_M
    turn, *phase = draw.uniform(0.0, 2.0 * np.pi, 7)
    # Slow waves bend the lattice so that no street runs straight through the town; the jitter makes blocks unlike.
    x_m = x_m + 130.0 * np.sin(y_m / 520.0 + phase[0]) + 45.0 * np.sin(x_m / 310.0 + phase[1])
    y_m = y_m + 130.0 * np.sin(x_m / 560.0 + phase[2]) + 45.0 * np.sin(y_m / 290.0 + phase[3])
    x_m = x_m + draw.normal(0.0, 16.0, x_m.shape)
    y_m = y_m + draw.normal(0.0, 16.0, y_m.shape)
    x_m, y_m = x_m * np.cos(turn) - y_m * np.sin(turn), x_m * np.sin(turn) + y_m * np.cos(turn)
    bearing = np.arctan2(y_m, x_m)
    edge_m = _RADIUS_M * (1.0 + 0.12 * np.sin(2 * bearing + phase[4]) + 0.07 * np.sin(3 * bearing + phase[5]))
    is_inside = np.hypot(x_m, y_m) < edge_m
    lattice = np.full(x_m.shape, -1)
    lattice[is_inside] = np.arange(np.count_nonzero(is_inside))
    return x_m[is_inside], y_m[is_inside], lattice


def _streets(draw: np.random.Generator, lattice: Ints, junctions: int) -> Ints:
    """A random spanning tree of the lattice and some of the rest: every junction can be reached."""
    pairs = np.concatenate(
        [
            np.stack([lattice[:, :-1].ravel(), lattice[:, 1:].ravel()], axis=1),
            np.stack([lattice[:-1].ravel(), lattice[1:].ravel()], axis=1),
        ]
    )
    pairs = draw.permutation(pairs[(pairs >= 0).all(axis=1)])
    is_kept = draw.random(len(pairs)) < _LOOPS_KEPT
    root = list(range(junctions))

    def find(junction: int) -> int:
        while root[junction] != junction:
            root[junction] = junction = root[root[junction]]
        return junction

    for number, (one, other) in enumerate(pairs.tolist()):
        one_root, other_root = find(one), find(other)
        if one_root != other_root:
            root[one_root] = other_root
            is_kept[number] = True
    ends: Ints = pairs[is_kept]
    # A corner of the outline may hang on by nothing: what is not joined to the largest part has no streets.
    roots = np.array([find(junction) for junction in ends[:, 0].tolist()])
    joined: Ints = ends[roots == np.bincount(roots).argmax()]
    return joined


def _addresses(
    draw: np.random.Generator, x_m: Floats, y_m: Floats, ends: Ints, length_m: Floats
) -> tuple[Ints, Floats, Floats, Floats]:
    """Front doors on both sides of every street: (street, metres along it, x, y)."""
    plots = 2 * np.maximum(1, ((length_m - 24.0) // _PLOT_M).astype(np.int64))
    street = np.repeat(np.arange(len(ends)), plots)
    number = np.arange(street.size) - np.repeat(np.cumsum(plots) - plots, plots)
    along_m = 12.0 + (number // 2 + draw.uniform(0.3, 0.7, street.size)) * _PLOT_M
    along_m = np.minimum(along_m, length_m[street] - 2.0)
    setback_m = np.where(number % 2 == 0, 1.0, -1.0) * draw.uniform(7.0, 14.0, street.size)
    first, last = ends[street, 0], ends[street, 1]
    east = (x_m[last] - x_m[first]) / length_m[street]
    north = (y_m[last] - y_m[first]) / length_m[street]
    return (
        street,
        along_m,
        x_m[first] + along_m * east - setback_m * north,
        y_m[first] + along_m * north + setback_m * east,
    )


def _uses(draw: np.random.Generator, x_m: Floats, y_m: Floats) -> Ints:
    """Shops crowd about the market place and are dotted elsewhere; work is there and on an estate at the edge."""
    from_centre_m = np.hypot(x_m, y_m)
    bearing = draw.uniform(0.0, 2.0 * np.pi)
    from_estate_m = np.hypot(x_m - 1_900.0 * np.cos(bearing), y_m - 1_900.0 * np.sin(bearing))
    shop = np.where(from_centre_m < 350.0, 0.5, 0.006)
    work = np.maximum(np.where(from_centre_m < 600.0, 0.12, 0.003), np.where(from_estate_m < 400.0, 0.9, 0.0))
    lot = draw.random(x_m.size)
    return np.where(lot < shop, Use.SHOP, np.where(lot < shop + (1.0 - shop) * work, Use.WORKPLACE, Use.DWELLING))
