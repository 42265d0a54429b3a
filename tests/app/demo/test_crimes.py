from collections import Counter

import numpy as np

from app.demo.lives import moment_of
from app.demo.offences import KINDS, NEAR_OWN_PLACE_M, plan_offences
from app.demo.scene import Scene
from app.demo.town import make_town
from app.demo.wearers import distance_m, draw_wearers


def test_a_planted_offender_is_at_the_place_throughout_the_act(scene: Scene) -> None:
    for crime in (crime for crime in scene.crimes if crime.offender >= 0):
        moment = moment_of(scene.lives[crime.offender], np.linspace(crime.act_from_s, crime.act_to_s, 9)[:-1])
        away_m = np.hypot(
            moment.x_m - scene.town.address_x_m[crime.address], moment.y_m - scene.town.address_y_m[crime.address]
        )
        # In the street a crime is recorded at the nearest address, up to 14 m off.
        assert away_m.max() < (0.01 if crime.kind.is_indoors else 14.01)


def test_a_third_of_the_crimes_is_by_wearers_and_three_in_ten_of_those_near_their_own_places(scene: Scene) -> None:
    planted = [crime for crime in scene.crimes if crime.offender >= 0]
    assert len(scene.crimes) == 60
    assert len(planted) == 20
    assert sum(crime.is_near_own_place for crime in planted) == 6
    for crime in planted:
        at = scene.town.address_x_m[crime.address], scene.town.address_y_m[crime.address]
        nearest_m = distance_m(scene.town, scene.wearers[crime.offender].own_places, *at).min()
        assert (nearest_m <= NEAR_OWN_PLACE_M) == crime.is_near_own_place


def test_the_reported_window_holds_the_act_and_lasts_ten_minutes_to_twelve_hours(scene: Scene) -> None:
    for crime in scene.crimes:
        assert crime.from_s <= crime.act_from_s <= crime.act_to_s <= crime.to_s
        assert 600.0 <= crime.to_s - crime.from_s <= 43_200.0
        assert crime.from_s % 60.0 == crime.to_s % 60.0 == 0.0
        assert crime.to_s < crime.reported_s <= scene.until_s


def test_crimes_come_as_they_are_reported_under_references_of_their_own(scene: Scene) -> None:
    assert [c.reported_s for c in scene.crimes] == sorted(c.reported_s for c in scene.crimes)
    assert len({c.reference for c in scene.crimes}) == 60
    assert {c.is_in_grid for c in scene.crimes} == {True, False}


def test_offences_are_of_the_seven_codes_and_last_as_long_as_is_known_of_them() -> None:
    town = make_town(5)
    offences = plan_offences(5, town, draw_wearers(5, town, 300), 700, 0.0, 30 * 86_400.0)
    assert set(Counter(offence.kind.code for offence in offences)) == {
        "BIAD",
        "AB",
        "BOTD",
        "RB",
        "TFP",
        "TOMV",
        "TFMV",
    }
    burglary_s = [o.stay_s for o in offences if o.kind.code in {"BIAD", "AB", "BOTD"}]
    other_s = [o.stay_s for o in offences if o.kind.code in {"RB", "TFP", "TOMV", "TFMV"}]
    assert abs(np.median(burglary_s) / 240.0 - 1.0) < 0.2
    assert abs(np.percentile(burglary_s, 5) / 45.0 - 1.0) < 0.4
    assert abs(np.median(other_s) / 90.0 - 1.0) < 0.25
    assert abs(sum(kind.share for kind in KINDS) - 1.0) < 1e-9
