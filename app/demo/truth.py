"""What was found against what is true: planted offences found and missed, alerts by chance, and how long each took."""

from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from app.demo.crimes import Crime
from app.demo.play import Played
from app.demo.scene import Scene
from app.demo.town import Bools, Ints
from app.demo.wearers import distance_m
from matcher.profile import STANDARD


class Missed(StrEnum):
    """Why a planted offence has no alert."""

    BATTERY = "the tag's battery was flat"
    NO_SIGNAL = "the tag had no signal"
    BETWEEN_FIXES = "over between two fixes"
    TOO_FAR_OFF = "every fix of it was too far off"
    WEAK = "matched, but too short a stay or no more than chance explains"
    NOT_MATCHED = "a fix lies in circle and window, but there is no match"


class Pair(NamedTuple):
    """A crime and a wearer, as rows of the scene."""

    crime: int
    wearer: int


class Outcome(NamedTuple):
    """How the service did."""

    found: list[Pair]
    missed: dict[Pair, Missed]
    chance_at_own_place: list[Pair]  # the crime was where this wearer lives, works or often is
    chance_passing: list[Pair]
    ping_to_alert_s: list[float]  # of alerts that a ping completed
    incident_to_alert_s: list[float]  # of alerts that a crime or a fitting completed


def weigh(scene: Scene, played: Played) -> Outcome:
    """Compare with the truth."""
    alerted = {pair_of(scene, alert) for alert in played.alerts if alert["state"] != "withdrawn"}
    matched = {pair_of(scene, match) for match in played.matches}
    planted = {Pair(number, crime.offender) for number, crime in enumerate(scene.crimes) if crime.offender >= 0}
    by_chance = sorted(alerted - planted)
    at_own_place = [pair for pair in by_chance if _is_own_place(scene, pair)]
    ping_s, incident_s = _latencies(scene, played)
    return Outcome(
        found=sorted(planted & alerted),
        missed={pair: _why_missed(scene, pair, matched) for pair in sorted(planted - alerted)},
        chance_at_own_place=at_own_place,
        chance_passing=[pair for pair in by_chance if pair not in at_own_place],
        ping_to_alert_s=ping_s,
        incident_to_alert_s=incident_s,
    )


def pair_of(scene: Scene, alert: dict[str, Any]) -> Pair:
    """The crime and the wearer that a match or an alert of the API is about."""
    return Pair(
        next(n for n, crime in enumerate(scene.crimes) if crime.reference == alert["incident"]["reference"]),
        next(n for n, wearer in enumerate(scene.wearers) if wearer.reference == alert["wearer"]["reference"]),
    )


def hits(scene: Scene, pair: Pair) -> Ints:
    """Rows of the wearer's fixes within the crime's circle and padded window, reckoned here and not by the matcher."""
    crime, fixes = scene.crimes[pair.crime], scene.fixes
    circle = STANDARD.circle(crime.kind.code)
    is_in_window = (fixes.fixed_s >= crime.from_s - circle.padding_s) & (fixes.fixed_s <= crime.to_s + circle.padding_s)
    return np.flatnonzero((fixes.wearer == pair.wearer) & is_in_window & _is_within(scene, crime, circle.radius_m))


def _is_within(scene: Scene, crime: Crime, radius_m: float) -> Bools:
    east_m = scene.fixes.x_m - scene.town.address_x_m[crime.address]
    north_m = scene.fixes.y_m - scene.town.address_y_m[crime.address]
    is_within: Bools = np.hypot(east_m, north_m) <= radius_m
    return is_within


def _is_own_place(scene: Scene, pair: Pair) -> bool:
    crime = scene.crimes[pair.crime]
    at = scene.town.address_x_m[crime.address], scene.town.address_y_m[crime.address]
    radius_m = STANDARD.circle(crime.kind.code).radius_m
    return bool(distance_m(scene.town, scene.wearers[pair.wearer].own_places, *at).min() <= radius_m)


def _why_missed(scene: Scene, pair: Pair, matched: set[Pair]) -> Missed:
    crime = scene.crimes[pair.crime]
    if pair in matched:
        return Missed.WEAK
    if hits(scene, pair).size:
        return Missed.NOT_MATCHED
    for silence in scene.silences:
        if silence.wearer == pair.wearer and silence.from_s < crime.act_to_s and silence.to_s > crime.act_from_s:
            return Missed.BATTERY if silence.is_battery else Missed.NO_SIGNAL
    own_s = scene.fixes.fixed_s[scene.fixes.wearer == pair.wearer]
    was_seen = np.any((own_s >= crime.act_from_s) & (own_s <= crime.act_to_s))
    return Missed.TOO_FAR_OFF if was_seen else Missed.BETWEEN_FIXES


def _latencies(scene: Scene, played: Played) -> tuple[list[float], list[float]]:
    """Seconds from the answer to the request that completed each alert until the alert was heard."""
    by_ping_s, by_incident_s = list[float](), list[float]()
    for event in played.events:
        if event.kind != "alert.raised":
            continue
        pair = pair_of(scene, event.alert)
        rows = hits(scene, pair)
        if rows.size == 0:  # on the very edge of the circle, where the reckoning here is off by centimetres
            continue
        ping_s = float(played.fix_answered_s[rows].min())
        other_s = float(max(played.crime_answered_s[pair.crime], played.fitting_answered_s[pair.wearer]))
        # An alert may be heard before the answer that it follows from.
        (by_ping_s if ping_s > other_s else by_incident_s).append(max(event.heard_s - max(ping_s, other_s), 0.0))
    return by_ping_s, by_incident_s
