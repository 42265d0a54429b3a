"""Where each wearer truly is at every moment: knots in time along the streets, straight between two of them."""

import math
from typing import NamedTuple

import numpy as np

from app.demo.days import Stop
from app.demo.town import Floats, Ints, Town
from app.demo.ways import Mode, Point, Ways
from app.demo.wearers import Wearer

_TOO_FAR_TO_WALK_M = 900.0
_STOPS_EVERY = 3  # junctions, of a bus


class Life(NamedTuple):
    """One wearer's true movement as K knots; before the first and after the last the wearer is at that knot."""

    at_s: Floats  # (K,) after the scene's midnight, rising
    x_m: Floats  # (K,)
    y_m: Floats  # (K,)
    mode: Ints  # (K,) one of Mode, from this knot to the next
    acts: dict[int, tuple[float, float]]  # offence -> seconds from, to that the wearer was at its place


class Moment(NamedTuple):
    """Where and how a wearer is at each of M instants."""

    x_m: Floats  # (M,)
    y_m: Floats  # (M,)
    speed_mps: Floats  # (M,)
    direction_deg: Floats  # (M,) clockwise from north, 0 while standing
    mode: Ints  # (M,)


def live(draw: np.random.Generator, town: Town, ways: Ways, wearer: Wearer, stops: list[Stop], until_s: float) -> Life:
    """Do what was planned, along the streets, as long as it takes; ends at the stop that `until_s` falls into."""
    walk = _Walk(draw, town, ways, wearer, stops[0].address)
    acts = dict[int, tuple[float, float]]()
    for stop in stops:
        walk.to(stop.address, is_indoors=stop.is_indoors)
        arrive_s = walk.at_s
        leave_s = max(stop.leave_s, arrive_s + stop.stay_s)
        walk.stay(min(leave_s, max(until_s, arrive_s)), Mode.INSIDE if stop.is_indoors else Mode.STANDING)
        if stop.offence >= 0:
            acts[stop.offence] = (arrive_s, walk.at_s)
        if walk.at_s >= until_s:
            break
    walk.end()
    at_s, x_m, y_m, mode = zip(*walk.knots, strict=True)
    return Life(np.array(at_s), np.array(x_m), np.array(y_m), np.array(mode, dtype=np.int64), acts)


def moment_of(life: Life, at_s: Floats) -> Moment:
    """The true position, speed and direction at each of the instants, in any order."""
    knot = np.clip(np.searchsorted(life.at_s, at_s, side="right") - 1, 0, life.at_s.size - 2)
    span_s = life.at_s[knot + 1] - life.at_s[knot]
    east_m, north_m = life.x_m[knot + 1] - life.x_m[knot], life.y_m[knot + 1] - life.y_m[knot]
    speed_mps = np.divide(np.hypot(east_m, north_m), span_s, out=np.zeros_like(span_s), where=span_s > 0.0)
    return Moment(
        np.interp(at_s, life.at_s, life.x_m),
        np.interp(at_s, life.at_s, life.y_m),
        speed_mps,
        np.where(speed_mps > 0.0, np.degrees(np.arctan2(east_m, north_m)) % 360.0, 0.0),
        life.mode[knot],
    )


class _Walk:
    """Writes the knots of one life: every step moves the clock on."""

    def __init__(self, draw: np.random.Generator, town: Town, ways: Ways, wearer: Wearer, start: int) -> None:
        self._draw, self._town, self._ways, self._wheels = draw, town, ways, wearer.wheels
        self._walk_mps = float(np.clip(draw.normal(1.35, 0.12), 1.05, 1.7))
        self._address = start
        self._point: Point = (float(town.address_x_m[start]), float(town.address_y_m[start]))
        self.at_s = 0.0
        self.knots: list[tuple[float, float, float, Mode]] = []

    def to(self, address: int, *, is_indoors: bool) -> None:
        """From the address where the wearer is to another, or to the street in front of it."""
        if address != self._address:
            self._travel(address)
        if is_indoors:
            self._go([(float(self._town.address_x_m[address]), float(self._town.address_y_m[address]))], Mode.FOOT)

    def stay(self, until_s: float, mode: Mode) -> None:
        """Where the wearer has come to."""
        self._wait(until_s - self.at_s, mode)

    def end(self) -> None:
        """The last knot, where the wearer stays."""
        self._knot(Mode.INSIDE)

    def _travel(self, address: int) -> None:
        """From doorstep to doorstep."""
        start, self._address = self._address, address
        self._go([self._ways.doorstep(start)], Mode.FOOT)
        is_far = math.dist(self._ways.doorstep(start), self._ways.doorstep(address)) > _TOO_FAR_TO_WALK_M
        stops = self._ways.bus_stop(start), self._ways.bus_stop(address)
        if self._wheels is Mode.CAR and is_far:
            self._ride(self._ways.between_addresses(start, address, on_foot=False), Mode.CAR)
        elif self._wheels is Mode.BUS and is_far and stops[0] != stops[1]:
            self._go(self._points(self._ways.to_junction(start, stops[0])), Mode.FOOT)
            self._wait(min(float(self._draw.exponential(240.0)), 900.0), Mode.STANDING)
            self._ride(self._ways.between_junctions(*stops), Mode.BUS)
            self._go(self._points(self._ways.to_junction(address, stops[1])[::-1]), Mode.FOOT)
        else:
            self._go(self._points(self._ways.between_addresses(start, address, on_foot=True)), Mode.FOOT)
        self._go([self._ways.doorstep(address)], Mode.FOOT)

    def _ride(self, way: list[int], mode: Mode) -> None:
        """Along junctions at the traffic's speed, with waits at some of them and, on a bus, at its stops."""
        slowness = self._draw.uniform(0.65, 1.0) if mode is Mode.CAR else self._draw.uniform(0.6, 0.85)
        for number, junction in enumerate(way):
            mps = self._ways.speed_mps(way[number - 1], junction) if number else 4.0
            self._go([self._ways.point(junction)], mode, mps * slowness)
            if mode is Mode.BUS and number % _STOPS_EVERY == 0:
                self._wait(float(self._draw.uniform(8.0, 30.0)), mode)
            elif self._draw.random() < 0.25:
                self._wait(min(float(self._draw.exponential(9.0)), 45.0), mode)

    def _points(self, way: list[int]) -> list[Point]:
        return [self._ways.point(junction) for junction in way]

    def _go(self, points: list[Point], mode: Mode, mps: float | None = None) -> None:
        for point in points:
            away_m = math.dist(self._point, point)
            if away_m > 0.0:
                self._knot(mode)
                self.at_s += away_m / (mps or self._walk_mps)
                self._point = point

    def _wait(self, seconds: float, mode: Mode) -> None:
        self._knot(mode)
        self.at_s += max(seconds, 0.0)

    def _knot(self, mode: Mode) -> None:
        self.knots.append((self.at_s, *self._point, mode))
