"""Evidence: all that a match says of one wearer and one incident, in one structure with a versioned JSON form."""

import math
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Final

# Moves when the same inputs give another answer; every match says by which it was made.
ALGORITHM = "evidence-3"
# Moves when the evidence's JSON changes its form.
SCHEMA = 3

# What became of the days before: `Evidence.history`.
NOT_NEEDED: Final = "not_needed"  # the verdict or the profile asks for none
NOT_READ: Final = "not_read"  # it is needed and the context has none: evaluate again with it
TOO_LITTLE: Final = "too_little"
WEIGHED: Final = "weighed"


@dataclass(frozen=True, slots=True)
class Stay:
    """One visit (matcher.visits), rounded."""

    label: str
    enter_us: int
    leave_us: int
    has_entry: bool  # seen to come in; else the stay begins at a fix or at the edge of the window
    has_exit: bool
    n_pings: int
    first_us: int | None
    last_us: int | None
    seen_s: float  # from the first to the last position inside
    inferred_s: float  # the rest, along straight lines
    near_m: float
    near_us: int
    enter_bearing_deg: float | None
    leave_bearing_deg: float | None


@dataclass(frozen=True, slots=True)
class Inside:
    """The probability of having been inside (matcher.presence, matcher.ever)."""

    highest: float  # at fixes and between them
    highest_us: int | None  # None where highest is 0, as seen_us
    seen: float  # the highest at a fix
    seen_us: int | None
    ever: float  # at any moment of the window
    at_crime: float  # A, at the moment of the crime, of the moments covered
    known: float  # share of A's moments that is covered: A is at most at_crime + 1 − known


@dataclass(frozen=True, slots=True)
class Reached:
    """Whether presence was possible at all (matcher.reach)."""

    is_excluded: bool
    is_sound: bool  # strap, power and activation throughout what it rests on
    needed_mps: float  # speed that presence would have needed; infinite where none would do
    longest_stay_s: float  # upper bound
    rests_from_us: int
    rests_to_us: int


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of the padded window is known (matcher.verdict)."""

    share: float
    fixes: int
    longest_gap_s: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Of what quality the positions inside are."""

    median_r95_m: float | None  # radius that holds a position in 95 of 100 cases; None without a position
    unknown_accuracy: int  # of them, those that state none
    by_source: dict[str, int]


@dataclass(frozen=True, slots=True)
class Event:
    """A device event in the padded window."""

    at_us: int
    kind: str


@dataclass(frozen=True, slots=True)
class Jump:
    """Fixes that nobody can have come between, in or about the padded window (matcher.jumps)."""

    before_us: int
    after_us: int
    set_aside: int  # fixes between them that were set aside; 0 where it cannot be told which side is false
    speed_mps: float


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Presence throughout the crime beside the wearer's ordinary life (matcher.chance)."""

    days: int
    as_much: int
    throughout: float  # A_s, which the ratio weighs: at_crime within stays as such an offence takes
    rate: float
    rate_low: float
    rate_high: float
    ratio: float
    ratio_low: float
    ratio_high: float  # infinite where there is no bound
    most: float
    words: str
    most_words: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is said of one wearer and one incident.

    Numbers are rounded as shown (probabilities 1e-4, metres 0.01, seconds 0.1, ratios to three digits) before anything
    is decided by them. Times are microseconds since 1970 UTC. What the profile's rule does not ask is None or empty.
    """

    rule: str  # of the profile: radius, overlap or presence
    verdict: str  # present, possible, excluded or cannot_say
    offence: str
    radius_m: float
    from_us: int  # the window with its padding
    to_us: int
    n_pings: int  # positions inside the circle
    min_dist_m: float | None  # the nearest of them; None without one, as the three times
    closest_us: int | None
    first_us: int | None
    last_us: int | None
    near_m: float | None  # the least distance inside, between positions too; None where nothing is, as the three times
    near_us: int | None
    enter_us: int | None  # first and
    leave_us: int | None  # last moment inside, between positions too
    inside_s: float  # seconds inside: expected ones where uncertainty is weighed, else along straight lines
    visits: int
    stays: tuple[Stay, ...]
    quality: Quality
    inside: Inside | None
    reach: Reached | None
    coverage: Covered | None
    events: tuple[Event, ...]
    jumps: tuple[Jump, ...]
    conflicts: int  # fixes of one tag, time and source that differ, in the padded window
    on_licence: bool | None  # whether the window meets the licence; None where that is not known
    history: str  # NOT_NEEDED, NOT_READ, TOO_LITTLE or WEIGHED
    chance: Ordinary | None
    is_candidate: bool  # a position or line within the candidate margin: what the join finds. Not part of the JSON

    @property
    def needs_history(self) -> bool:
        """Whether the evidence is not final until it is evaluated again with the history."""
        return self.history == NOT_READ

    def as_json(self) -> dict[str, object]:
        """Give the evidence as JSON holds it: times as RFC 3339 text, named `…_at`; null for what is infinite."""
        shown = {name: value for name, value in _object(self).items() if name != "is_candidate"}
        return {"schema": SCHEMA, "algorithm": ALGORITHM, **shown}


def ordinary_json(chance: Ordinary) -> dict[str, object]:
    """Give the part `chance` of the evidence as its JSON holds it."""
    return _object(chance)


def _object(whole: object) -> dict[str, object]:
    return {shown: _json_value(name, getattr(whole, name)) for name, shown in _NAMES[type(whole)]}


def _json_name(name: str) -> str:
    bare = name.removesuffix("_us")
    return bare if name in {bare, "at_us"} else bare + "_at"


def _json_value(name: str, value: object) -> object:
    if isinstance(value, float):
        return None if math.isinf(value) else value
    if isinstance(value, int):
        return _rfc_3339(value) if name.endswith("_us") else value
    if isinstance(value, tuple):
        return [_json_value(name, part) for part in value]
    return _object(value) if is_dataclass(value) else value


def _rfc_3339(us: int) -> str:
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.isoformat(timespec="microseconds") + "Z"


_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a time without a zone is written without one, and Z put after it

# The name of each field of a structure, and what its JSON calls it.
_NAMES: Final[dict[type[object], tuple[tuple[str, str], ...]]] = {
    kind: tuple((field.name, _json_name(field.name)) for field in fields(kind))
    for kind in (Stay, Inside, Reached, Covered, Quality, Event, Jump, Ordinary, Evidence)
}
