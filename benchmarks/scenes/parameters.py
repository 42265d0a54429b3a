"""What scenes with known truth are drawn by. Stated and committed before the model was tuned on any of them."""

from dataclasses import dataclass, field
from typing import NamedTuple

from app.demo.town import Use


class Kind(NamedTuple):
    """One of the police's offence codes, as scenes have it."""

    code: str
    share: float  # of all offences
    median_stay_s: float  # at the scene
    longest_window_s: float  # between the reported from and to
    position_r95_m: float  # how well the report says where
    is_indoors: bool
    uses: tuple[Use, ...]  # of the addresses of a town at which it is done
    hours: tuple[tuple[float, float], ...]  # of the day, of which one is drawn
    category: str  # of the real crimes of San Francisco at whose places it is done


_DAY_AND_EVENING = ((10.0, 16.0), (10.0, 16.0), (18.0, 23.0), (0.5, 5.0))
_NIGHT = ((21.0, 24.0), (0.0, 5.0))
_DARK = ((15.0, 19.0), (19.0, 24.0))
_HOMES, _SHOPS = (Use.DWELLING,), (Use.SHOP,)

KINDS = (
    Kind("BIAD", 0.38, 240.0, 43_200.0, 20.0, True, _HOMES, _DAY_AND_EVENING, "BURGLARY"),
    Kind("AB", 0.04, 240.0, 7_200.0, 20.0, True, _HOMES, _DARK, "BURGLARY"),
    Kind("BOTD", 0.16, 240.0, 43_200.0, 20.0, True, (Use.SHOP, Use.WORKPLACE), _NIGHT, "BURGLARY"),
    Kind("RB", 0.10, 90.0, 3_600.0, 50.0, False, (Use.DWELLING, Use.SHOP), _DARK, "ROBBERY"),
    Kind("TFP", 0.08, 90.0, 7_200.0, 50.0, False, _SHOPS, ((10.0, 17.0),), "LARCENY/THEFT"),
    Kind("TOMV", 0.08, 90.0, 43_200.0, 40.0, False, _HOMES, _NIGHT, "VEHICLE THEFT"),
    Kind("TFMV", 0.16, 90.0, 43_200.0, 40.0, False, _HOMES, _NIGHT, "LARCENY/THEFT"),
)


@dataclass(frozen=True, slots=True)
class Tag:
    """What a tag makes of a wearer's true way. Radii are stated accuracies, meant to hold 95 of 100 positions."""

    every_s: float = 60.0
    outdoors_r95_m: float = 9.0  # medians
    indoors_r95_m: float = 24.0
    r95_sigma: float = 0.45  # of their logarithms
    wifi_indoors: float = 0.010  # shares of fixes, with 100 to 250 m
    lbs_indoors: float = 0.005  # with 300 to 1,500 m
    error_minutes: int = 3  # a fix's error is the mean of so many independent ones, one new with each fix
    outlier_share: float = 0.01  # of GPS fixes: far off, and yet stating
    outlier_r95_m: tuple[float, float] = (4.0, 15.0)
    outlier_least_m: float = 40.0  # away; beyond that a Pareto tail
    outlier_scale_m: float = 60.0
    outlier_shape: float = 1.6
    outlier_most_m: float = 3_000.0
    unknown_share: float = 0.02  # of fixes, that state no accuracy
    mute_tags: float = 0.03  # share of tags that never state one
    gaps_a_day: float = 2.0
    gap_median_s: float = 480.0
    gap_sigma: float = 0.8
    flat_a_day: float = 0.10  # batteries
    flat_median_s: float = 10_800.0
    flat_sigma: float = 0.4


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of the scenes. Stays, windows and places are meant to be like those of real burglary, robbery and car crime."""

    kinds: tuple[Kind, ...] = KINDS
    stay_sigma: float = 1.02  # log-normal: a median of 4 min puts the 5th percentile at 45 s
    near_own_share: float = 0.3  # of offences, near to where the offender regularly is
    near_own_m: float = 500.0
    reach_m: float = 1_300.0  # in a town, the chance of a target falls by e with so much distance from home
    shortest_window_s: float = 600.0  # windows are log-uniform between this and the kind's longest
    at_once_share: float = 0.35  # of offences noticed when they end; others at any time later
    apart_s: float = 9_000.0  # between two offences of one wearer
    history_days: int = 28  # before the first offence of a town
    offence_days: int = 7
    # From a taxi's way to the crime at which it is made to stop, at most. It was 1,000 until a classifier was seen to
    # know planted taxis by their coming back to where they had turned off (docs/decisions/0012).
    detour_m: float = 100.0
    detour_mps: float = 8.0
    fastest_mps: float = 40.0  # fixes of real trails that imply more are no truth and are left out
    own_places: int = 3  # of a taxi: where it stands most
    tag: Tag = field(default_factory=Tag)
