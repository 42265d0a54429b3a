"""Profiles: named, versioned, hashed settings of a match."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace

OFFENCES = ("RB", "BIAD", "AB", "BOTD", "TOMV", "TFP", "TFMV", "OTHER")


@dataclass(frozen=True, slots=True)
class Circle:
    """How far from an incident's place and time a position counts."""

    radius_m: float
    padding_s: float  # added to the window on both sides


@dataclass(frozen=True, slots=True)
class Profile:
    """Every setting that a match depends on; the same settings give the same hash."""

    name: str
    max_gap_s: float  # pings further apart are not joined by a segment
    max_speed_mps: float  # nor those that imply a higher speed
    candidate_margin_m: float  # added to the radius when candidates are sought, never when they are judged
    history_days: int  # how far before the window the evidence looks
    after_s: float  # how far after the window it looks
    circles: dict[str, Circle] = field(default_factory=dict)  # one for each offence

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


def profile_from(name: str, settings: dict[str, object]) -> Profile:
    """Make a profile from what `settings()` gave. Raises ValueError if one is missing, unknown or out of range."""
    try:
        fields = dict(settings)
        circles = {offence: Circle(**circle) for offence, circle in dict(fields.pop("circles")).items()}  # type: ignore[call-overload]
        profile = Profile(name=name, circles=circles, **fields)  # type: ignore[arg-type]
    except (KeyError, TypeError) as error:
        raise ValueError(f"the settings of profile {name!r} do not fit: {error}") from None
    check(profile)
    return profile


def check(profile: Profile) -> None:
    """Raise ValueError, in the caller's words, if a setting is out of range or an offence has no circle."""
    if missing := set(OFFENCES) - set(profile.circles):
        raise ValueError(f"profile {profile.name!r} has no circle for {', '.join(sorted(missing))}")
    for offence, circle in profile.circles.items():
        if not 0 < circle.radius_m <= 10_000:
            raise ValueError(f"radius_m for {offence} must be over 0 and at most 10,000, not {circle.radius_m}")
        if not 0 <= circle.padding_s <= 86_400:
            raise ValueError(f"padding_s for {offence} must be 0 to 86,400, not {circle.padding_s}")
    if not 0 < profile.max_gap_s <= 3_600:
        raise ValueError(f"max_gap_s must be over 0 and at most 3,600, not {profile.max_gap_s}")
    if not 0 < profile.max_speed_mps <= 400:
        raise ValueError(f"max_speed_mps must be over 0 and at most 400, not {profile.max_speed_mps}")
    if not 0 <= profile.candidate_margin_m <= 10_000:
        raise ValueError(f"candidate_margin_m must be 0 to 10,000, not {profile.candidate_margin_m}")
    if not 0 <= profile.history_days <= 366:
        raise ValueError(f"history_days must be 0 to 366, not {profile.history_days}")
    if not 0 <= profile.after_s <= 7 * 86_400:
        raise ValueError(f"after_s must be 0 to 604,800, not {profile.after_s}")


def plain_radius(name: str, radius_m: float, padding_s: float) -> Profile:
    """Make a profile that counts every position within one radius and padding, whatever the offence."""
    profile = replace(RADIUS_100M, name=name, circles=dict.fromkeys(OFFENCES, Circle(radius_m, padding_s)))
    check(profile)
    return profile


# The rule in use today: any position within 100 m, no uncertainty, no chance.
RADIUS_100M = Profile(
    name="radius-100m",
    max_gap_s=300.0,
    max_speed_mps=60.0,
    candidate_margin_m=0.0,
    history_days=0,
    after_s=0.0,
    circles=dict.fromkeys(OFFENCES, Circle(radius_m=100.0, padding_s=600.0)),
)

BUILT_IN = (RADIUS_100M,)
