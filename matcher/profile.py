"""Profiles: named, versioned, hashed settings of a match."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Final

OFFENCES = ("RB", "BIAD", "AB", "BOTD", "TOMV", "TFP", "TFMV", "OTHER")

# How positions are judged: matcher.by_radius, matcher.by_overlap, matcher.by_presence.
RADIUS: Final = "radius"
OVERLAP: Final = "overlap"
PRESENCE: Final = "presence"
RULES: Final = (RADIUS, OVERLAP, PRESENCE)

# A fix lies within its accuracy with this probability, unless a profile knows better.
LEVEL: Final = 0.95
# How a fix was made, as it is stored.
SOURCES: Final = {"unknown": 0, "gps": 1, "rf": 4, "lbs": 5, "wifi": 6}
UNKNOWN_R95_M: Final = {"unknown": 300.0, "gps": 30.0, "rf": 50.0, "lbs": 1500.0, "wifi": 100.0}


@dataclass(frozen=True, slots=True)
class Circle:
    """How far from an incident's place and time a position counts, and how well that place is known."""

    radius_m: float
    padding_s: float  # added to the window on both sides
    min_stay_s: float = 0.0  # expected seconds inside from which people are told
    r95_m: float = 0.0  # the incident's place is this near to the one reported in 95 of 100 cases
    stay_s: float = 0.0  # median of how long such an offence keeps somebody there; 0: no length is asked of presence


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a stated accuracy means, and what is taken where none is stated."""

    # Radius that holds the position in 95 of 100 cases, by source, where the fix states no accuracy or 0.
    unknown_r95_m: dict[str, float] = field(default_factory=UNKNOWN_R95_M.copy)
    # Probability with which a stated accuracy holds the position, by source ("gps") or by contractor and source
    # ("acme gps"), which goes before; LEVEL for all others.
    levels: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Movement:
    """Within what the mobility of a wearer between two fixes is sought, and how far apart those may be."""

    least_mobility_m2ps: float = 1.0
    most_mobility_m2ps: float = 2500.0
    ever_gap_s: float = 1800.0  # fixes further apart say nothing of whether the wearer was ever inside between them


@dataclass(frozen=True, slots=True)
class Telling:
    """What a wearer's ordinary days are taken for before any is known, and from what on people are told of a match."""

    ordinary_days: float = 1.0  # κ, days that are known before any is counted
    ordinary_s: float = 10.0  # b₀, the least presence on one of those, in seconds at the height of the window, and
    ordinary_rate: float = 0.0  # as a probability; the higher of the two counts
    stay_spread: float = 1.02  # of the logarithm of stays: the 5th percentile is a fifth of the median
    pace_mps: float = 0.0  # at which whoever only passes goes at least: that time is no stay; 0: none is taken off
    alert_lr: float = 8.0  # likelihood ratio from which people are told
    alert_at_crime: float = 0.05  # A from which they are told where there is too little history for a ratio
    least_ever: float = 0.01  # probability of ever having been inside, from which it is a match


@dataclass(frozen=True, slots=True)
class Profile:
    """Every setting that a match depends on; the same settings give the same hash."""

    name: str
    max_gap_s: float  # pings further apart are not joined by a segment
    max_speed_mps: float  # nor those that imply a higher speed
    candidate_margin_m: float  # added to the radius when candidates are sought, never when they are judged
    history_days: int  # how many days before the window tell what is ordinary
    after_s: float  # how far before and after the window with its padding it looks
    circles: dict[str, Circle] = field(default_factory=dict)  # one for each offence
    rule: str = RADIUS
    basis: str = ""  # where the settings come from, for people
    accuracy: Accuracy = field(default_factory=Accuracy)
    movement: Movement = field(default_factory=Movement)
    telling: Telling = field(default_factory=Telling)

    def circle(self, offence: str) -> Circle:
        """Give the circle for an offence. Raises ValueError if it is none of OFFENCES."""
        try:
            return self.circles[offence]
        except KeyError:
            raise ValueError(f"unknown offence {offence!r}; known: {', '.join(OFFENCES)}") from None

    def settings(self) -> dict[str, object]:
        """Give everything but the name, as JSON can hold it."""
        settings = asdict(self)
        del settings["name"]
        return settings

    def sha256(self) -> bytes:
        """Hash the settings: 32 bytes, the same for equal settings on every machine."""
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).digest()


_PARTS: Final = {"accuracy": Accuracy, "movement": Movement, "telling": Telling}


def profile_from(name: str, settings: dict[str, object]) -> Profile:
    """Make a profile from what `settings()` gave; what a settings of an earlier version lacks takes its default.

    Raises ValueError if one is missing, unknown or out of range.
    """
    try:
        fields = dict(settings)
        fields["circles"] = {offence: Circle(**circle) for offence, circle in dict(fields["circles"]).items()}  # type: ignore[call-overload]
        fields |= {part: kind(**fields[part]) for part, kind in _PARTS.items() if part in fields}  # type: ignore[arg-type]
        profile = Profile(name=name, **fields)  # type: ignore[arg-type]
    except (KeyError, TypeError) as error:
        raise ValueError(f"the settings of profile {name!r} do not fit: {error}") from None
    check(profile)
    return profile


def check(profile: Profile) -> None:
    """Raise ValueError, in the caller's words, if a setting is out of range or an offence has no circle."""
    if missing := set(OFFENCES) - set(profile.circles):
        raise ValueError(f"profile {profile.name!r} has no circle for {', '.join(sorted(missing))}")
    if profile.rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, not {profile.rule!r}")
    for offence, circle in profile.circles.items():
        _check_over_0(f"radius_m for {offence}", circle.radius_m, 10_000)
        _check_from_0(f"padding_s for {offence}", circle.padding_s, 86_400)
        _check_from_0(f"min_stay_s for {offence}", circle.min_stay_s, 86_400)
        _check_from_0(f"r95_m for {offence}", circle.r95_m, 10_000)
        _check_from_0(f"stay_s for {offence}", circle.stay_s, 86_400)
    _check_over_0("max_gap_s", profile.max_gap_s, 3_600)
    _check_over_0("max_speed_mps", profile.max_speed_mps, 400)
    _check_from_0("candidate_margin_m", profile.candidate_margin_m, 10_000)
    _check_from_0("history_days", profile.history_days, 366)
    _check_from_0("after_s", profile.after_s, 7 * 86_400)
    _check_accuracy(profile.accuracy)
    least, most = profile.movement.least_mobility_m2ps, profile.movement.most_mobility_m2ps
    _check_over_0("most_mobility_m2ps", most, 1_000_000)
    _check_over_0("ever_gap_s", profile.movement.ever_gap_s, 43_200)
    _check_over_0("least_mobility_m2ps", least, most)
    _check_over_0("ordinary_days", profile.telling.ordinary_days, 366)
    _check_over_0("ordinary_s", profile.telling.ordinary_s, 86_400)
    _check_from_0("ordinary_rate", profile.telling.ordinary_rate, 1)
    _check_over_0("stay_spread", profile.telling.stay_spread, 10)
    _check_from_0("pace_mps", profile.telling.pace_mps, 100)
    _check_over_0("alert_lr", profile.telling.alert_lr, 1_000_000_000)
    _check_over_0("alert_at_crime", profile.telling.alert_at_crime, 1)
    _check_from_0("least_ever", profile.telling.least_ever, 1)


def _check_accuracy(accuracy: Accuracy) -> None:
    if set(accuracy.unknown_r95_m) != set(SOURCES):
        raise ValueError(f"unknown_r95_m must have one radius for each of {', '.join(SOURCES)}")
    for source, r95_m in accuracy.unknown_r95_m.items():
        _check_over_0(f"unknown_r95_m for {source}", r95_m, 100_000)
    for of, level in accuracy.levels.items():
        if of.rpartition(" ")[2] not in SOURCES:
            raise ValueError(f"a level is of a source or of a contractor and a source, not of {of!r}")
        if not 0 < level < 1:
            raise ValueError(f"the level of {of} must lie between 0 and 1, not {level}")


def _check_over_0(name: str, value: float, most: float) -> None:
    if not 0 < value <= most:
        raise ValueError(f"{name} must be over 0 and at most {most:,g}, not {value}")


def _check_from_0(name: str, value: float, most: float) -> None:
    if not 0 <= value <= most:
        raise ValueError(f"{name} must be 0 to {most:,g}, not {value}")


def plain_radius(name: str, radius_m: float, padding_s: float) -> Profile:
    """Make a profile that counts every position within one radius and padding, whatever the offence."""
    circles = dict.fromkeys(OFFENCES, Circle(radius_m, padding_s))
    profile = replace(RADIUS_100M, name=name, circles=circles, basis="")
    check(profile)
    return profile


# What a position is worth: its error, the way between two, who was elsewhere, who is there anyway. Every constant of
# the model stands here or in the defaults above; each is a choice to be back-tested (docs/decisions/0006).
STANDARD = Profile(
    name="standard",
    rule=PRESENCE,
    basis="TrailMatch's own model",
    max_gap_s=300.0,
    max_speed_mps=60.0,
    candidate_margin_m=300.0,
    history_days=90,
    after_s=12 * 3_600.0,
    circles={
        **dict.fromkeys(("BIAD", "AB", "BOTD"), Circle(50.0, 600.0, min_stay_s=60.0, r95_m=20.0, stay_s=240.0)),
        **dict.fromkeys(("RB", "TFP"), Circle(50.0, 600.0, min_stay_s=20.0, r95_m=50.0, stay_s=90.0)),
        **dict.fromkeys(("TOMV", "TFMV"), Circle(50.0, 600.0, min_stay_s=30.0, r95_m=40.0, stay_s=90.0)),
        "OTHER": Circle(50.0, 600.0, min_stay_s=30.0, r95_m=50.0, stay_s=90.0),
    },
    # The pace on foot that British crossings are timed for and 85 of 100 people reach (Department of Transport, Local
    # Transport Note 2/95, The Design of Pedestrian Crossings, 1995).
    telling=Telling(ordinary_s=5.0, pace_mps=1.2),
)

# The rule in use today: any position within 100 m, no uncertainty, no chance.
RADIUS_100M = Profile(
    name="radius-100m",
    rule=RADIUS,
    basis="any position within 100 m and ten minutes of the window",
    max_gap_s=300.0,
    max_speed_mps=60.0,
    candidate_margin_m=0.0,
    history_days=0,
    after_s=0.0,
    circles=dict.fromkeys(OFFENCES, Circle(radius_m=100.0, padding_s=600.0)),
)

# Half of a circle of accuracy lies in the crime's circle only where its centre does, so no margin is needed.
MOJ_COMPATIBLE = Profile(
    name="moj-compatible",
    rule=OVERLAP,
    basis="inferred from the public settings of the Ministry of Justice's crime matching service, whose algorithm is "
    "not public",
    max_gap_s=300.0,
    max_speed_mps=60.0,
    candidate_margin_m=0.0,
    history_days=0,
    after_s=0.0,
    circles=dict.fromkeys(OFFENCES, Circle(radius_m=100.0, padding_s=600.0)),
)

BUILT_IN = (RADIUS_100M, STANDARD, MOJ_COMPATIBLE)
