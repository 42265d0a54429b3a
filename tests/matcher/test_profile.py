from dataclasses import replace

import pytest

from matcher.chance import LEAST_DAYS
from matcher.profile import (
    BUILT_IN,
    OFFENCES,
    RADIUS_100M,
    STANDARD,
    Accuracy,
    Circle,
    Movement,
    Profile,
    Telling,
    check,
    plain_radius,
    profile_from,
)


@pytest.mark.parametrize("profile", BUILT_IN, ids=lambda profile: profile.name)
def test_a_profile_comes_back_from_its_settings(profile: Profile) -> None:
    check(profile)
    assert profile_from(profile.name, profile.settings()) == profile
    assert profile_from(profile.name, profile.settings()).sha256() == profile.sha256()
    assert set(profile.circles) == set(OFFENCES)
    assert profile.basis


def test_no_two_profiles_have_one_name_or_one_hash() -> None:
    assert len({profile.name for profile in BUILT_IN}) == len({profile.sha256() for profile in BUILT_IN}) == 3


def test_every_setting_is_in_the_hash() -> None:
    changed = [
        replace(STANDARD, max_gap_s=301.0),
        replace(STANDARD, rule="radius"),
        replace(STANDARD, accuracy=replace(STANDARD.accuracy, levels={"gps": 0.68})),
        replace(STANDARD, movement=replace(STANDARD.movement, most_mobility_m2ps=2501.0)),
        replace(STANDARD, telling=replace(STANDARD.telling, alert_lr=STANDARD.telling.alert_lr + 1)),
        replace(STANDARD, circles=STANDARD.circles | {"RB": replace(STANDARD.circle("RB"), min_stay_s=21.0)}),
    ]
    assert len({profile.sha256() for profile in [STANDARD, *changed]}) == 7
    assert replace(STANDARD, name="other").sha256() == STANDARD.sha256()


def test_settings_of_an_earlier_version_are_a_plain_radius() -> None:
    earlier = {
        "max_gap_s": 300.0,
        "max_speed_mps": 60.0,
        "candidate_margin_m": 0.0,
        "history_days": 0,
        "after_s": 0.0,
        "circles": {offence: {"radius_m": 100.0, "padding_s": 600.0} for offence in OFFENCES},
    }
    assert profile_from("radius-100m", earlier) == replace(RADIUS_100M, basis="")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rule": "guess"}, "rule must be one of radius, overlap, presence, not 'guess'"),
        ({"max_gap_s": 0.0}, "max_gap_s must be over 0 and at most 3,600, not 0"),
        ({"history_days": 367}, "history_days must be 0 to 366, not 367"),
        ({"movement": Movement(10.0, 5.0)}, "least_mobility_m2ps must be over 0 and at most 5, not 10"),
        ({"telling": Telling(ordinary_s=0.0)}, "ordinary_s must be over 0"),
        ({"telling": Telling(ordinary_rate=-0.1)}, "ordinary_rate must be 0 to 1"),
        ({"telling": Telling(stay_spread=0.0)}, "stay_spread must be over 0"),
        ({"movement": Movement(ever_gap_s=0.0)}, "ever_gap_s must be over 0"),
        ({"telling": Telling(least_ever=1.1)}, "least_ever must be 0 to 1, not 1.1"),
        ({"accuracy": Accuracy(levels={"gps": 1.0})}, "the level of gps must lie between 0 and 1, not 1.0"),
        ({"accuracy": Accuracy(levels={"acme sonar": 0.9})}, "not of 'acme sonar'"),
        ({"accuracy": Accuracy(unknown_r95_m={"gps": 30.0})}, "unknown_r95_m must have one radius for each"),
        ({"circles": {"RB": Circle(100.0, 600.0)}}, "no circle for AB, BIAD"),
        ({"circles": dict.fromkeys(OFFENCES, Circle(100.0, 600.0, -1.0))}, "min_stay_s for RB must be 0 to 86,400"),
        ({"circles": dict.fromkeys(OFFENCES, Circle(float("nan"), 600.0))}, "radius_m for RB must be over 0"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check(replace(STANDARD, **change))  # type: ignore[arg-type]


def test_the_least_history_that_is_weighed_can_reach_the_ratio_from_which_people_are_told() -> None:
    # The ratio is at most the days and the prior's (docs/decisions/0006); a higher bound would silence short histories.
    assert STANDARD.telling.alert_lr <= LEAST_DAYS + STANDARD.telling.ordinary_days


def test_a_setting_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        profile_from("mine", STANDARD.settings() | {"colour": "red"})
    with pytest.raises(ValueError, match="unknown offence"):
        STANDARD.circle("XX")


def test_a_plain_radius_is_by_radius_whatever_the_offence() -> None:
    profile = plain_radius("near", 55.0, 30.0)
    assert profile.rule == "radius"
    assert set(profile.circles.values()) == {Circle(55.0, 30.0)}
