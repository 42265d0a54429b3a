"""All pairs of a crime and a wearer who came near: what each rule says of them, and what is true."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.scenes.parameters import KINDS
from benchmarks.scenes.plane import Floats
from benchmarks.scenes.world import Crime, Flags, Longs, Reported, World
from benchmarks.validation.cases import (
    comparable_days_us,
    context_of,
    incident_of,
    ratio_of,
    wearer_of,
    weight_of,
)
from matcher.chance import LEAST_DAYS
from matcher.evidence import Evidence
from matcher.incidents import Incidents
from matcher.join import space_time_join
from matcher.near import distances_m
from matcher.profile import MOJ_COMPATIBLE, RADIUS_100M, Profile
from matcher.trails import Trails
from matcher.verdict import POSSIBLE, PRESENT
from matcher.weigh import is_alerted, weigh

# Whoever has no fix so near within the padded window is no pair: no rule would tell of them.
NEAR_M = 600.0
# A planted offence counts where a fix was taken so shortly before, during or after it.
COVERED_US = 300_000_000
# The plain rule is tried with up to so many positions.
MOST_PINGS = 12

_PADDING_US = 600_000_000
_LEAST_EVER = 0.05
_FAR_M = 1e9
_CODES = [kind.code for kind in KINDS]


class Said(NamedTuple):
    """What one rule says of P pairs."""

    is_found: Flags  # (P,) present, or possible with P(ever inside) of at least 0.05
    is_alerted: Flags  # (P,)
    score: Floats  # (P,) the higher, the more it speaks for presence


class Pairs(NamedTuple):
    """P pairs of a world: every offender with their crime, and every other wearer who came near a crime."""

    crime: Longs  # (P,)
    wearer: Longs  # (P,)
    is_planted: Flags  # (P,) the wearer is the crime's offender
    is_covered: Flags  # (P,)
    stay_s: Floats  # (P,) of the offender, whoever the pair's wearer is
    offence: Longs  # (P,) row of KINDS
    has_ratio: Flags  # (P,) enough days to compare with
    is_told: Flags  # (P,) by the standard profile but for its ratio: present, and for long enough
    nearest_m: Floats  # (P, MOST_PINGS) distances of the nearest fixes in the padded window, rising
    standard: Said
    moj_compatible: Said
    radius_100m: Said

    def only(self, wanted: Flags) -> "Pairs":
        """Give some of the pairs."""
        rows = [column[wanted] for column in self[:9]]
        return Pairs(*rows, *(Said(*(column[wanted] for column in said)) for said in self[9:]))  # type: ignore[arg-type]


def together(parts: Sequence[Pairs]) -> Pairs:
    """Give the pairs of several worlds as one; their numbers of crimes and wearers then name several."""
    columns = [np.concatenate(column) for column in zip(*(part[:9] for part in parts), strict=True)]
    rules = zip(*(part[9:] for part in parts), strict=True)
    return Pairs(*columns, *(Said(*map(np.concatenate, zip(*said, strict=True))) for said in rules))  # type: ignore[arg-type]


def pairs_of(world: World, standard: Profile, advance: Callable[[int], None]) -> Pairs:
    """Ask all three rules about every pair of a world; about 1 ms a pair.

    `advance` is called with the number of crimes done.
    """
    wearers = [wearer_of(reported, standard) for reported in world.reported]
    near = _near(world)
    columns = list[list[float]]()
    nearest, said = list[Floats](), list[tuple[tuple[bool, bool, float], ...]]()
    for number, crime in enumerate(world.crimes):
        incident = incident_of(crime)
        days_us = comparable_days_us(world, incident, standard)
        for wearer in sorted(near[number] | {crime.offender}):
            nearest.append(_nearest_m(world.reported[wearer], crime))
            evidence = weigh(context_of(wearers[wearer], incident, standard, days_us), incident, standard)
            weight = weight_of(wearers[wearer], incident, standard, days_us)
            truth = _truth(number, wearer, crime, world.reported[crime.offender])
            is_told = evidence.verdict == PRESENT and evidence.inside_s >= standard.circle(crime.code).min_stay_s
            columns.append([*truth, weight.throughout == 0 or weight.days >= LEAST_DAYS, is_told])
            plain = [
                _said(weigh(context_of(wearers[wearer], incident, rule, days_us), incident, rule), rule, None)
                for rule in (MOJ_COMPATIBLE, RADIUS_100M)
            ]
            said.append((_said(evidence, standard, ratio_of(weight, incident, standard)), *plain))
        advance(1)
    table, told = np.array(columns), np.array(said)
    rules = [Said(told[:, rule, 0] > 0, told[:, rule, 1] > 0, told[:, rule, 2]) for rule in range(3)]
    return Pairs(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.int64),
        table[:, 2] > 0,
        table[:, 3] > 0,
        table[:, 4],
        table[:, 5].astype(np.int64),
        table[:, 6] > 0,
        table[:, 7] > 0,
        np.array(nearest),
        *rules,
    )


def _said(evidence: Evidence, profile: Profile, ratio: float | None) -> tuple[bool, bool, float]:
    """Found, alerted and the score: the ratio, or the number of positions that count."""
    ever = evidence.inside.ever if evidence.inside is not None else 0.0
    is_found = evidence.verdict == PRESENT or (evidence.verdict == POSSIBLE and ever >= _LEAST_EVER)
    return is_found, is_alerted(evidence, profile), float(evidence.n_pings) if ratio is None else ratio


def _truth(number: int, wearer: int, crime: Crime, of_offender: Reported) -> list[float]:
    bounds = np.searchsorted(
        of_offender.fixed_at_us, (crime.act_from_us - COVERED_US, crime.act_to_us + COVERED_US + 1)
    )
    stay_s = (crime.act_to_us - crime.act_from_us) / 1e6
    return [number, wearer, wearer == crime.offender, bounds[1] > bounds[0], stay_s, _CODES.index(crime.code)]


def _nearest_m(reported: Reported, crime: Crime) -> Floats:
    first, end = np.searchsorted(
        reported.fixed_at_us, (crime.from_us - _PADDING_US, crime.to_us + _PADDING_US + 1)
    ).tolist()
    away_m = distances_m(reported.lon_e7[first:end], reported.lat_e7[first:end], crime.lon_deg, crime.lat_deg)
    nearest_m = np.full(MOST_PINGS, _FAR_M)
    nearest_m[: min(away_m.size, MOST_PINGS)] = np.sort(away_m)[:MOST_PINGS]
    return nearest_m


def _near(world: World) -> list[set[int]]:
    """The wearers with a fix near each crime within its padded window."""
    sizes = [reported.fixed_at_us.size for reported in world.reported]
    trails = Trails(
        np.arange(len(sizes)),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate([reported.fixed_at_us for reported in world.reported]),
        np.concatenate([reported.lon_e7 for reported in world.reported]),
        np.concatenate([reported.lat_e7 for reported in world.reported]),
    )
    crimes = world.crimes
    hits = space_time_join(
        trails,
        Incidents(
            np.array([crime.lon_deg for crime in crimes]),
            np.array([crime.lat_deg for crime in crimes]),
            np.full(len(crimes), NEAR_M),
            np.array([crime.from_us - _PADDING_US for crime in crimes]),
            np.array([crime.to_us + _PADDING_US for crime in crimes]),
        ),
    )
    near: list[set[int]] = [set() for _ in crimes]
    for crime, wearer in zip(hits.incident.tolist(), hits.device.tolist(), strict=True):
        near[crime].add(wearer)
    return near
