"""Who truly met what, and how a found answer differs from it."""

import random
from typing import Any, NamedTuple

import numpy as np

from benchmarks.story import Floats, Meeting, Meetings, Pair, Question, Report, Story
from tests.naive import Incident, Ping, naive_hit, plane

# The service's metric is within a centimetre of the geodesic (geo/wgs84.py), and it rounds to one.
TOLERANCE_M = 0.01
_METRES_A_DEGREE = 110_000.0  # a little less than any degree of latitude


class Truth(NamedTuple):
    """The answer for some of the crimes, and the pairs for which either answer would be right."""

    references: set[str]  # of the crimes that it is about
    meetings: Meetings
    undecided: set[Pair]  # with a ping within TOLERANCE_M of the circle's edge


class Difference(NamedTuple):
    """Pairs whose answers differ."""

    missing: list[Pair]
    unknown: list[Pair]  # found, but not there
    unlike: list[Pair]  # found, with another count, distance or time

    def __bool__(self) -> bool:
        return any(self)

    def summary(self, examples: int = 5) -> dict[str, Any]:
        """How many there are of each kind, and a few of them."""
        return {name: {"pairs": len(pairs), "examples": pairs[:examples]} for name, pairs in self._asdict().items()}


def compare(found: Meetings, truth: Truth) -> Difference:
    """Compare the pairs of the crimes that the truth is about: exactly, but for a centimetre in distance."""
    decided = {pair: true for pair, true in truth.meetings.items() if pair not in truth.undecided}
    ours = {pair: m for pair, m in found.items() if pair[0] in truth.references and pair not in truth.undecided}
    return Difference(
        missing=sorted(decided.keys() - ours.keys()),
        unknown=sorted(ours.keys() - decided.keys()),
        unlike=sorted(pair for pair in decided.keys() & ours.keys() if not _are_alike(ours[pair], decided[pair])),
    )


def _are_alike(ours: Meeting, true: Meeting) -> bool:
    # Half a centimetre more, which is what rounding to a centimetre can add.
    is_near = abs(ours.min_dist_m - true.min_dist_m) <= TOLERANCE_M * 1.5
    return is_near and (ours.n_pings, ours.first_us, ours.last_us) == (true.n_pings, true.first_us, true.last_us)


def scan(story: Story, question: Question, seed: int, crimes: int) -> Truth:
    """Look at every ping about a sample of the crimes, one by one, on the geodesic; about 0.1 s for each crime.

    Crimes at whose time there are no pings at all are not in the sample.
    """
    by_time = np.argsort(story.fixed_at_us, kind="stable")
    times = story.fixed_at_us[by_time]
    during = [report for report in story.reports if report.to_us >= times[0] and report.from_us <= times[-1]]
    sample = random.Random(seed).sample(during, min(crimes, len(during)))
    meetings: Meetings = {}
    undecided: set[Pair] = set()
    for report in sample:
        incident = _incident(report, question)
        in_window = by_time[slice(*np.searchsorted(times, [incident.from_us, incident.to_us + 1]))]
        near = in_window[_is_near(story.lon_deg[in_window], story.lat_deg[in_window], incident)]
        for device, trail in _trails(story, near).items():
            pair = report.reference, story.serials[device]
            if any(abs(np.hypot(*plane(incident, ping)) - question.radius_m) <= TOLERANCE_M for ping in trail):
                undecided.add(pair)
            hit = naive_hit(trail, [], incident)
            if hit is not None and hit.first_us is not None and hit.last_us is not None:
                meetings[pair] = Meeting(hit.n_pings, hit.closest_m, hit.first_us, hit.last_us)
    return Truth({report.reference for report in sample}, meetings, undecided)


def _incident(report: Report, question: Question) -> Incident:
    pad_us = round(question.pad_s * 1e6)
    return Incident(report.lon_deg, report.lat_deg, question.radius_m, report.from_us - pad_us, report.to_us + pad_us)


def _is_near(lon_deg: Floats, lat_deg: Floats, incident: Incident) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """A first sieve, in a box that surely holds the circle."""
    half_deg = (incident.radius_m + 1.0) / _METRES_A_DEGREE
    half_lon_deg = half_deg / np.cos(np.radians(abs(incident.lat_deg) + half_deg))
    is_near: np.ndarray[tuple[int], np.dtype[np.bool_]] = (np.abs(lat_deg - incident.lat_deg) <= half_deg) & (
        np.abs((lon_deg - incident.lon_deg + 180) % 360 - 180) <= half_lon_deg
    )
    return is_near


def _trails(story: Story, rows: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> dict[int, list[Ping]]:
    """Pings by device, each in the order of time."""
    trails: dict[int, list[Ping]] = {}
    for row in rows.tolist():
        device = int(story.device[row])
        ping = Ping(
            device,
            int(story.fixed_at_us[row]),
            round(float(story.lon_deg[row]) * 1e7),
            round(float(story.lat_deg[row]) * 1e7),
        )
        trails.setdefault(device, []).append(ping)
    return trails
