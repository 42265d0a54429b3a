"""The people on a tag in the invented town: where they live and work, where they often are, how they get about."""

from typing import NamedTuple

import numpy as np

from app.demo.town import Floats, Ints, Town, Use
from app.demo.ways import Mode

_HAS_WORK = 0.55
_WHEELS = (Mode.FOOT, Mode.BUS, Mode.CAR)
_WHEELS_SHARE = (0.40, 0.35, 0.25)


class Wearer(NamedTuple):
    """One person on a tag; addresses are rows of the town's."""

    reference: str
    device_id: str
    home: int
    work: int  # −1 without work
    haunts: tuple[int, ...]  # shops, and the homes of friends
    wheels: Mode  # for what is too far to walk; FOOT: walks everywhere
    fitted_days: int  # days before the scene begins that the tag was fitted

    @property
    def own_places(self) -> Ints:
        """Every address where this wearer regularly is."""
        return np.array([self.home, *([self.work] if self.work >= 0 else []), *self.haunts])


def draw_wearers(seed: int, town: Town, count: int) -> list[Wearer]:
    """Each is drawn from a stream of their own: the first ten are the same people whatever `count` is."""
    return [_draw(np.random.default_rng([seed, 2, number]), town, number) for number in range(count)]


def distance_m(town: Town, addresses: Ints, x_m: float, y_m: float) -> Floats:
    """Metres from each of the addresses to a point, as the crow flies."""
    return np.hypot(town.address_x_m[addresses] - x_m, town.address_y_m[addresses] - y_m)


def _draw(draw: np.random.Generator, town: Town, number: int) -> Wearer:
    dwellings, shops, works = (np.flatnonzero(town.address_use == use) for use in Use)
    home = int(draw.choice(dwellings))
    work = int(draw.choice(works)) if draw.random() < _HAS_WORK else -1
    haunts = [
        *_near(draw, town, shops, home, 2, 500.0),
        *_near(draw, town, shops, home, 1, 4_000.0),
        *_near(draw, town, dwellings, home, 2, 900.0),
    ]
    return Wearer(
        reference=f"W-{number + 1:04d}",
        device_id=f"MT-{40_000 + 7 * number}",
        home=home,
        work=work,
        haunts=tuple(haunts),
        wheels=_WHEELS[draw.choice(3, p=_WHEELS_SHARE)],
        fitted_days=int(draw.integers(5, 200)),
    )


def _near(draw: np.random.Generator, town: Town, among: Ints, home: int, count: int, reach_m: float) -> list[int]:
    """Addresses drawn with a chance that falls with the distance from home."""
    away_m = distance_m(town, among, town.address_x_m[home], town.address_y_m[home])
    chance = np.exp(-away_m / reach_m) * (away_m > 0.0)
    return [int(address) for address in draw.choice(among, count, replace=False, p=chance / chance.sum())]
