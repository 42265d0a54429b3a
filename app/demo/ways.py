"""The quickest way from one address of the town to another, on foot or on wheels, street by street."""

import heapq
import math
from enum import IntEnum
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from app.demo.town import Bools, Floats, Ints, Town


class Mode(IntEnum):
    """What a wearer is doing between two knots of a life."""

    INSIDE = 0
    STANDING = 1  # out of doors: at a bus stop, at a junction, at a parked car
    FOOT = 2
    BUS = 3
    CAR = 4


Point = tuple[float, float]
Neighbours = list[list[tuple[int, float]]]  # of each junction: (the next one, seconds to it)


class Tree(NamedTuple):
    """Quickest ways from every junction to one."""

    cost_s: list[float]
    onward: list[int]  # the next junction on the way, −1 at the end of it


WALK_MPS = 1.35
_MAIN_ROAD_MPS = 12.5
_SIDE_STREET_MPS = 8.0
_JUNCTION_S = 5.0  # what crossing one costs on wheels, so that a way does not zigzag
_GATES = 7  # main roads lead from the market place out of the town
_RING_M = 1_500.0


class Ways:
    """Ways through one town; a tree of quickest ways is kept for every junction that was a destination, 3 ms each."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._x_m = town.junction_x_m.tolist()
        self._y_m = town.junction_y_m.tolist()
        self._ends: list[tuple[int, int]] = [(one, other) for one, other in town.street_ends.tolist()]
        on_foot = self._neighbours(town.street_length_m / WALK_MPS)
        is_main = _main_roads(town, on_foot)
        street_mps = np.where(is_main, _MAIN_ROAD_MPS, _SIDE_STREET_MPS)
        on_wheels = self._neighbours(town.street_length_m / street_mps + _JUNCTION_S)
        self._on_main_road: Ints = np.unique(town.street_ends[is_main])
        streets = [frozenset(ends) for ends in self._ends]
        self._speed_mps: dict[frozenset[int], float] = dict(zip(streets, street_mps.tolist(), strict=True))
        self._tree_on_foot = cache(lambda junction: _tree(on_foot, junction))
        self._tree_on_wheels = cache(lambda junction: _tree(on_wheels, junction))

    def doorstep(self, address: int) -> Point:
        """The point of the street in front of an address."""
        town = self._town
        one, other = self._ends[town.address_street[address]]
        part = float(town.address_along_m[address] / town.street_length_m[town.address_street[address]])
        return (
            self._x_m[one] + part * (self._x_m[other] - self._x_m[one]),
            self._y_m[one] + part * (self._y_m[other] - self._y_m[one]),
        )

    def bus_stop(self, address: int) -> int:
        """The junction on a main road nearest to an address, as the crow flies."""
        town, stops = self._town, self._on_main_road
        east_m = town.junction_x_m[stops] - town.address_x_m[address]
        north_m = town.junction_y_m[stops] - town.address_y_m[address]
        return int(stops[np.argmin(east_m * east_m + north_m * north_m)])

    def between_addresses(self, start: int, end: int, *, on_foot: bool) -> list[int]:
        """The junctions on the way between two addresses; none where both are on one street."""
        street = self._town.address_street[end]
        if self._town.address_street[start] == street:
            return []
        tree = self._tree_on_foot if on_foot else self._tree_on_wheels
        last = self._ends[street][0 if self._town.address_along_m[end] < self._town.street_length_m[street] / 2 else 1]
        way = self._down(start, tree(last))
        # A way that comes down the street of its end stops at the door and does not turn at the corner beyond.
        return way[:-1] if len(way) > 1 and way[-2] == sum(self._ends[street]) - last else way

    def between_junctions(self, start: int, end: int) -> list[int]:
        """The junctions on the quickest way on wheels, both ends included."""
        return _way(self._tree_on_wheels(end), start)

    def to_junction(self, address: int, junction: int) -> list[int]:
        """The junctions on the way on foot from an address, the last included."""
        return self._down(address, self._tree_on_foot(junction))

    def point(self, junction: int) -> Point:
        """Where a junction is."""
        return self._x_m[junction], self._y_m[junction]

    def speed_mps(self, one: int, other: int) -> float:
        """How fast traffic goes between two neighbouring junctions."""
        return self._speed_mps[frozenset((one, other))]

    def _neighbours(self, cost_s: Floats) -> Neighbours:
        neighbours: Neighbours = [[] for _ in self._x_m]
        for (one, other), seconds in zip(self._ends, cost_s.tolist(), strict=True):
            neighbours[one].append((other, seconds))
            neighbours[other].append((one, seconds))
        return neighbours

    def _down(self, address: int, tree: Tree) -> list[int]:
        """The way from an address by the end of its street that is nearer to the tree's root."""
        return _way(tree, min(self._ends[self._town.address_street[address]], key=tree.cost_s.__getitem__))


def _way(tree: Tree, start: int) -> list[int]:
    way = [start]
    while tree.onward[way[-1]] >= 0:
        way.append(tree.onward[way[-1]])
    return way


def _tree(neighbours: Neighbours, end: int) -> Tree:
    """The quickest ways from everywhere to `end` (Dijkstra 1959)."""
    cost_s = [math.inf] * len(neighbours)
    onward = [-1] * len(neighbours)
    cost_s[end] = 0.0
    reached = [(0.0, end)]
    while reached:
        seconds, junction = heapq.heappop(reached)
        if seconds > cost_s[junction]:
            continue
        for neighbour, street_s in neighbours[junction]:
            through_s = seconds + street_s
            if through_s < cost_s[neighbour]:
                cost_s[neighbour] = through_s
                onward[neighbour] = junction
                heapq.heappush(reached, (through_s, neighbour))
    return Tree(cost_s, onward)


def _main_roads(town: Town, on_foot: Neighbours) -> Bools:
    """Ways from the market place out to the edge in all directions, and a ring through their middles."""
    joined = np.unique(town.street_ends)
    x_m, y_m = town.junction_x_m[joined], town.junction_y_m[joined]
    centre = int(joined[np.argmin(np.hypot(x_m, y_m))])
    to_centre = _tree(on_foot, centre)
    bearings = np.arange(_GATES) * 2.0 * np.pi / _GATES
    gates = [int(joined[np.argmax(x_m * np.sin(at) + y_m * np.cos(at))]) for at in bearings]
    middles = [
        int(joined[np.argmin(np.hypot(x_m - _RING_M * np.sin(at), y_m - _RING_M * np.cos(at)))]) for at in bearings
    ]
    ways = [_way(to_centre, gate) for gate in gates]
    ways += [_way(_tree(on_foot, end), start) for start, end in zip(middles, middles[1:] + middles[:1], strict=True)]
    main = {frozenset(ends) for way in ways for ends in pairwise(way)}
    return np.array([frozenset(ends) in main for ends in town.street_ends.tolist()])
