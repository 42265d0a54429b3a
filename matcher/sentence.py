"""The evidence in words for people: what was found, what speaks for it and what against. The one place that says it."""

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from matcher.evidence import TOO_LITTLE, Evidence, Ordinary, Stay
from matcher.verdict import CANNOT_SAY, EXCLUDED, PRESENT

# Gives the time of day on the clock that the reader lives by.
Clock = Callable[[int], str]

# From so many seconds on durations are said in minutes.
_MINUTES_FROM_S: Final = 120
# A gap of at least so many seconds in the window is worth a word.
_GAP_S: Final = 300
_COVERED: Final = 0.8

_TOO_LITTLE: Final = "There is too little history to say how often the person is there anyway."
_EXPLAINED: Final = "The person's ordinary life may explain it."
_OUTSIDE: Final = "The window lies outside the licence."

_EVENTS: Final = {
    "fitted": "tag fitted",
    "removed": "tag removed",
    "strap_tamper": "strap tampered with",
    "case_tamper": "case tampered with",
    "battery_low": "battery low",
    "battery_flat": "battery flat",
    "charging_started": "charging started",
    "charging_ended": "charging ended",
    "signal_lost": "signal lost",
    "signal_restored": "signal restored",
    "shielding_suspected": "shielding suspected",
}


class Said(NamedTuple):
    """Sentences on one match, each a whole one."""

    finding: str
    in_favour: list[str]
    against: list[str]


def sentences(evidence: Evidence, clock: Clock) -> Said:
    """Say the evidence in words. Being near is never called more than that.

    clock: gives a moment, in microseconds since 1970 UTC, as the reader's clock shows it.
    """
    if evidence.verdict == EXCLUDED:
        return Said(_excluded(evidence), [], _against(evidence, clock))
    return Said(_found(evidence, clock), _in_favour(evidence, clock), _against(evidence, clock))


def ordinary_sentences(history: str, chance: Ordinary | None) -> list[str]:
    """Say what the wearer's days before make of a presence that was weighed against them, whatever the verdict."""
    if history == TOO_LITTLE:
        return [_TOO_LITTLE]
    if chance is None:
        return []
    if chance.throughout == 0:
        return [f"Nothing speaks for presence throughout such an offence, so {chance.days} other days tell nothing."]
    return [_ordinary(chance), *([_EXPLAINED] if chance.ratio_low < 1 else [])]


def _found(evidence: Evidence, clock: Clock) -> str:
    if evidence.n_pings:
        assert evidence.first_us is not None
        assert evidence.last_us is not None
        first, last = clock(evidence.first_us), clock(evidence.last_us)
        when = f"at {first}" if first == last else f"between {first} and {last}"
        positions = f"{_count(evidence.n_pings, 'position')} within {evidence.radius_m:.0f} m {when}"
        said = f"{positions}, nearest {evidence.min_dist_m:.0f} m"
    elif evidence.visits:
        assert evidence.near_us is not None
        said = (
            f"No position within {evidence.radius_m:.0f} m, but the straight way between two of them leads past at "
            f"{evidence.near_m:.0f} m, about {clock(evidence.near_us)}"
        )
    elif evidence.verdict == CANNOT_SAY:
        return _nothing_known(evidence)
    else:
        said = f"No position within {evidence.radius_m:.0f} m"
    # Not P(ever inside): it takes the errors of fixes for independent, and grows with every fix of who stays beside.
    if evidence.inside is not None and evidence.verdict != PRESENT:
        said += f"; the probability of being inside was at no moment above {_chance(evidence.inside.highest)}"
    return said + "."


def _nothing_known(evidence: Evidence) -> str:
    if evidence.reach is not None and evidence.reach.is_excluded:
        return "The positions speak against presence, but the tag could not vouch for the person throughout."
    if evidence.reach is None:
        return f"No position counts within {evidence.radius_m:.0f} m; this rule does not say who was elsewhere."
    return "No usable position in the window: it cannot be said where the person was."


def _excluded(evidence: Evidence) -> str:
    assert evidence.reach is not None
    needed = evidence.reach.needed_mps
    if math.isinf(needed):
        return "Could not have been there: no speed would have been enough."
    return f"Could not have been there: it would have taken {needed:.0f} m/s ({needed * 3.6:.0f} km/h)."


def _in_favour(evidence: Evidence, clock: Clock) -> list[str]:
    said = []
    if evidence.inside is not None and evidence.inside.highest > 0:
        assert evidence.inside.highest_us is not None
        said.append(
            f"The probability of being inside was highest at {clock(evidence.inside.highest_us)}: "
            f"{_chance(evidence.inside.highest)}."
        )
        if evidence.inside_s >= 1:
            said.append(f"Expected time inside: {_duration(evidence.inside_s)}.")
    said += [_stay(stay, clock) for stay in evidence.stays if stay.n_pings > 1 or stay.has_entry]
    if evidence.chance is not None and evidence.chance.ratio_low >= 1:
        said.append(_ordinary(evidence.chance))
    return said


def _stay(stay: Stay, clock: Clock) -> str:
    seen = f"{_duration(stay.seen_s)} seen, {_duration(stay.inferred_s)} inferred between positions"
    came = f" Came from the {_direction(stay.enter_bearing_deg + 180)}." if stay.enter_bearing_deg is not None else ""
    went = f" Left to the {_direction(stay.leave_bearing_deg)}." if stay.leave_bearing_deg is not None else ""
    return f"Visit {stay.label}, {clock(stay.enter_us)} to {clock(stay.leave_us)}: {seen}.{came}{went}"


def _ordinary(chance: Ordinary) -> str:
    return (
        f"On {_count(chance.as_much, 'day')} of {chance.days} comparable ones the person was there as much; presence "
        f"throughout such an offence is {chance.ratio:g} times what their ordinary life makes it, at least "
        f"{chance.ratio_low:g} times: {chance.words} (so many days allow {chance.most_words} at most)."
    )


def _against(evidence: Evidence, clock: Clock) -> list[str]:
    return [
        *_against_by_place(evidence),
        *_against_by_time(evidence),
        *_against_by_life(evidence),
        *([_OUTSIDE] if evidence.on_licence is False else []),
        *_doubts_of_tag(evidence, clock),
    ]


def _against_by_place(evidence: Evidence) -> list[str]:
    said = []
    if evidence.n_pings == 0 and evidence.visits:
        said.append("Presence is inferred between positions, not seen.")
    if evidence.n_pings == 1:
        said.append("It rests on a single position.")
    if evidence.quality.unknown_accuracy:
        n = evidence.quality.unknown_accuracy
        said.append(f"{_count(n, 'position')} inside {'states' if n == 1 else 'state'} no accuracy.")
    coarse = evidence.quality.median_r95_m
    if coarse is not None and coarse > evidence.radius_m:
        said.append(f"The positions inside are only good to {coarse:.0f} m.")
    return said


def _against_by_time(evidence: Evidence) -> list[str]:
    said = []
    if evidence.coverage is not None:
        if evidence.coverage.share < _COVERED:
            said.append(f"Positions cover {_percent(evidence.coverage.share)} of the window and its padding.")
        if evidence.coverage.longest_gap_s >= _GAP_S:
            said.append(f"The longest time without a position is {_duration(evidence.coverage.longest_gap_s)}.")
    if evidence.inside is not None and evidence.verdict == PRESENT:
        said.append(
            f"The probability of having been there at the moment of the crime itself is "
            f"{_chance(evidence.inside.at_crime)}, because only the window is known."
        )
    return said


def _against_by_life(evidence: Evidence) -> list[str]:
    if evidence.history == TOO_LITTLE:
        return [_TOO_LITTLE]
    if evidence.chance is None:
        return []
    said = []
    if evidence.chance.as_much:
        k, n = evidence.chance.as_much, evidence.chance.days
        said.append(f"The person was there as much at these hours on {k} of {n} comparable days.")
    if evidence.chance.ratio_low < 1:
        said.append(_EXPLAINED)
    return said


def _doubts_of_tag(evidence: Evidence, clock: Clock) -> list[str]:
    said = [f"Tag: {_EVENTS.get(event.kind, event.kind)} at {clock(event.at_us)}." for event in evidence.events]
    if evidence.jumps:
        aside = sum(jump.set_aside for jump in evidence.jumps)
        said.append(
            f"{_count(len(evidence.jumps), 'jump')} that nobody could have made; "
            f"{_count(aside, 'position')} set aside and listed."
        )
    if evidence.conflicts:
        said.append(f"At {_count(evidence.conflicts, 'moment')} the tag gave positions that differ; all are kept.")
    if evidence.reach is not None and evidence.reach.is_excluded and not evidence.reach.is_sound:
        said.append("Strap, power or fitting of the tag was in doubt, so nothing is excluded.")
    return said


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _chance(probability: float) -> str:
    """Say a probability; nothing is ever called certain."""
    if probability < 0.01:
        return "under 1 %"
    return "over 99 %" if probability > 0.99 else _percent(probability)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < _MINUTES_FROM_S else f"{seconds / 60:.0f} min"


_WINDS: Final = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


def _direction(bearing_deg: float) -> str:
    return _WINDS[round(bearing_deg / 45) % 8]
