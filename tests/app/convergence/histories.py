"""Histories drawn outwards from incidents: who was where, what was said of it later, and what was taken back.

A history is a set of inputs; only the versions of an incident and of profiles have an order, which is part of what they
say. Places and times sit on the edges of circles, windows, hours and days, so that most histories hold a match.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from matcher.profile import BUILT_IN, Profile

FORCE = "Kent"
LON, LAT = -1.55, 53.8
E7_PER_METRE_NORTH = 90
E7_PER_METRE_EAST = 152
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
# Noon, midnight, and some minutes before and after a full hour.
ANCHORS = tuple(
    round(datetime(2026, 3, 14, hour, minute, tzinfo=UTC).timestamp()) * 1_000_000
    for hour, minute in ((12, 0), (0, 0), (0, 3), (17, 57))
)

AWAY_M = (0, 0, 20, 60, 99, 101, 150, 350, 420, 9_000, 9_000)
ACCURACY_CM = (-1, 0, 500, 500, 1_500, 3_000, 10_000, 150_000)
SOURCES = (0, 1, 1, 1, 4, 5, 6)
EVENT_KINDS = ("removed", "strap_tamper", "battery_flat", "signal_lost", "signal_restored", "shielding_suspected")


class Ping(NamedTuple):
    """A fix as a contractor sends it, in stored units; the device is called by its serial."""

    serial: str
    at_us: int
    source: int
    lon_e7: int
    lat_e7: int
    accuracy_cm: int
    speed_cmps: int = -1
    direction_cdeg: int = -1


Record = dict[str, Any]
Post = Record | Profile


class History(NamedTuple):
    """What is said in all; all but `posts` may come in any order and more than once."""

    pings: list[Ping]
    activations: list[Record]
    events: list[Record]
    licences: list[Record]
    posts: list[list[Post]]  # each list in its order: versions of incidents, profiles that come into force in between

    def days(self) -> list[int]:
        """UTC days that have pings, counted from 1970-01-01."""
        return sorted({ping.at_us // DAY_US for ping in self.pings})


def draw_history(draw: Random) -> History:
    """One or two incidents, one to three wearers who pass by, and what else may happen."""
    anchor_us = draw.choice(ANCHORS)
    wearers = [f"W{number}" for number in range(draw.choice((1, 2, 2, 3)))]
    serials = [f"T{number}" for number in range(draw.choice((1, 2, 2)))]
    scenes = [_Scene(anchor_us, 0)]
    while len(scenes) < 3 and draw.random() < 0.5:
        scenes.append(
            _Scene(anchor_us + draw.choice((0, 20 * MINUTE_US, -3 * HOUR_US, -DAY_US)), draw.choice((0, 250)))
        )
    pings = [ping for serial in serials for ping in _trail(draw, serial, scenes)]
    pings += [_rival(draw, ping) for ping in pings if draw.random() < 0.25]
    fittings = [each for serial in serials for each in _fittings(draw, serial, wearers, anchor_us)]
    events = [each for serial in serials for each in _events(draw, serial, anchor_us)]
    posts = _posts(draw, scenes)
    licences = [each for wearer in wearers for each in _licences(draw, wearer, wearers, anchor_us)]
    return History(pings, fittings, events, licences, posts)


class _Scene(NamedTuple):
    """About where and when an incident is said to have happened."""

    at_us: int
    north_m: int


def _trail(draw: Random, serial: str, scenes: list[_Scene]) -> list[Ping]:
    """Come, stay, go: a fix a minute, some missing, some far off; and for some people the same on days before."""
    trail = list[Ping]()
    for scene in scenes:
        start_us = scene.at_us + draw.choice((-1, 0, 0, 1))
        start_us += draw.choice((-1, 0, 1, 3, -16, -15, -11, -10, 10, 14)) * MINUTE_US
        stay = [draw.choice((0, 20)), *(draw.choice(AWAY_M) for _ in range(draw.choice((0, 1, 2, 4))))]
        for minute, away_m in enumerate((-400, *stay, 400)):
            if draw.random() < 0.9:
                at_us = start_us + minute * draw.choice((MINUTE_US, MINUTE_US, 4 * MINUTE_US, 6 * MINUTE_US))
                trail.append(_ping(draw, serial, at_us, scene.north_m + away_m))
    if draw.random() < 0.3:
        trail += _habit(draw, serial, scenes[0])
    return list({ping[:3]: ping for ping in trail}.values())


def _habit(draw: Random, serial: str, scene: _Scene) -> list[Ping]:
    """Fixes every four minutes of the hour around the incident's on each of some days before it."""
    away_m = draw.choice((50, 3_000))
    return [
        _ping(draw, serial, scene.at_us - day * DAY_US + minute * MINUTE_US, scene.north_m + away_m)
        for day in range(1, draw.choice((3, 9)))
        for minute in range(-28, 29, 4)
    ]


def _ping(draw: Random, serial: str, at_us: int, north_m: float) -> Ping:
    return Ping(
        serial,
        at_us,
        draw.choice(SOURCES),
        round(LON * 1e7) + draw.choice((0, 0, 10)) * E7_PER_METRE_EAST,
        round(LAT * 1e7) + round(north_m * E7_PER_METRE_NORTH),
        draw.choice(ACCURACY_CM),
    )


def _rival(draw: Random, ping: Ping) -> Ping:
    """Another fix of the same device, time and source."""
    return ping._replace(
        lat_e7=ping.lat_e7 + draw.choice((0, 60, 300, 9_000)) * E7_PER_METRE_NORTH,
        accuracy_cm=draw.choice(ACCURACY_CM),
        speed_cmps=draw.choice((-1, 120)),
    )


def _fittings(draw: Random, serial: str, wearers: list[str], anchor_us: int) -> list[Record]:
    """A fitting long before; perhaps another person's in between; perhaps corrections of each, or none at all."""
    if draw.random() < 0.05:
        return []
    fittings = [(f"{serial}-1", anchor_us - 100 * DAY_US)]
    if draw.random() < 0.4:
        fittings.append((f"{serial}-2", anchor_us + draw.choice((-12, -1, 0, 2, 30)) * MINUTE_US))
    records = list[Record]()
    for reference, fitted_us in fittings:
        records.append(_fitting(draw, serial, reference, 1, draw.choice(wearers), fitted_us))
        for revision in range(2, draw.choice((2, 2, 3, 4))):
            moved_us = fitted_us + draw.choice((0, 0, 1, -1)) * draw.choice((5, 60, 60 * 24 * 99)) * MINUTE_US
            records.append(_fitting(draw, serial, reference, revision, draw.choice(wearers), moved_us))
    return records


def _fitting(draw: Random, serial: str, reference: str, revision: int, wearer: str, fitted_us: int) -> Record:
    removed_us = fitted_us + draw.choice((10 * MINUTE_US, 102 * DAY_US)) if draw.random() < 0.1 else None
    return {
        "activation_id": reference,
        "revision": revision,
        "device_id": serial,
        "wearer_reference": wearer,
        "fitted_at": instant(fitted_us),
        "removed_at": None if removed_us is None else instant(removed_us),
        "void": revision > 1 and draw.random() < 0.1,
    }


def _events(draw: Random, serial: str, anchor_us: int) -> list[Record]:
    return [
        {
            "event_id": f"{serial}-E{number}",
            "revision": revision,
            "device_id": serial,
            "kind": draw.choice(EVENT_KINDS),
            "at": instant(anchor_us + draw.choice((-600, -20, -6, 0, 3, 6, 300)) * MINUTE_US),
            "void": revision > 1 and draw.random() < 0.3,
        }
        for number in range(draw.choice((0, 0, 1, 2)))
        for revision in range(1, draw.choice((2, 2, 3)))
    ]


def _licences(draw: Random, wearer: str, wearers: list[str], anchor_us: int) -> list[Record]:
    """None, one or two licences, ending and beginning about the incident; perhaps another person's on correction."""
    records = list[Record]()
    for number in range(draw.choice((0, 1, 1, 2))):
        for revision in range(1, draw.choice((2, 3, 4))):
            from_us = anchor_us - draw.choice((200 * DAY_US, 200 * DAY_US, 30 * MINUTE_US, -40 * MINUTE_US))
            until_us = draw.choice((None, 90 * DAY_US, 16 * MINUTE_US, 1, -5 * MINUTE_US, -15 * MINUTE_US))
            to_us = None if until_us is None else max(anchor_us + until_us, from_us + 1)
            records.append(
                {
                    "licence_id": f"{wearer}-L{number}",
                    "revision": revision,
                    "wearer_reference": draw.choice((wearer, wearer, wearer, *wearers)),
                    "from": instant(from_us),
                    "to": None if to_us is None else instant(to_us),
                    "void": revision > 1 and draw.random() < 0.2,
                }
            )
    return records


def _posts(draw: Random, scenes: list[_Scene]) -> list[list[Post]]:
    """The versions of each incident; or those of all in one order, if a profile changes in between."""
    versions = [_versions(draw, f"C{number}", scene) for number, scene in enumerate(scenes)]
    if draw.random() < 0.7:
        return versions
    posts = list[Post]()
    while waiting := [each for each in versions if each]:
        posts.append(draw.choice(waiting).pop(0))
        profile = draw.choice(BUILT_IN)
        posts.append(replace(profile, max_gap_s=profile.max_gap_s + draw.choice((-60, 60, 120))))
    return [posts]


def _versions(draw: Random, reference: str, scene: _Scene) -> list[Post]:
    from_us = scene.at_us + draw.choice((-5, 0, 0)) * MINUTE_US
    record: Record = {
        "force": FORCE,
        "reference": reference,
        "offence": draw.choice(("BIAD", "RB", "OTHER")),
        "from": instant(from_us),
        "to": instant(from_us + draw.choice((0, 5, 10)) * MINUTE_US),
        "lon": LON,
        "lat": _lat(scene.north_m),
        "profile": draw.choice(BUILT_IN).name,
    }
    versions: list[Post] = [record]
    for _ in range(draw.choice((0, 0, 1, 2, 3))):
        record = record | _amendment(draw, scene)
        versions.append(record)
    return versions


def _amendment(draw: Random, scene: _Scene) -> Record:
    return draw.choice(
        (
            {"withdrawn": True},
            {"withdrawn": False},
            {"withdrawn": False, "lat": _lat(scene.north_m + draw.choice((0, 30, 60, 5_000)))},
            {"withdrawn": False, "to": instant(scene.at_us + draw.choice((10, 30, 600)) * MINUTE_US)},
            {"position_r95_m": draw.choice((5.0, 50.0, 200.0))},
            {"profile": draw.choice(BUILT_IN).name},
            {"text": "amended"},
        )
    )


def _lat(north_m: float) -> float:
    return round(LAT + north_m * E7_PER_METRE_NORTH / 1e7, 7)


def instant(us: int) -> str:
    """A time as it is sent."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).isoformat()
