from collections import Counter
from typing import Any

import numpy as np
import pytest

from app.demo.listener import Event
from app.demo.play import Counts, Played
from app.demo.report import summary
from app.demo.scene import Scene
from app.demo.truth import Missed, Pair, hits, weigh
from matcher.profile import STANDARD


def alert(scene: Scene, pair: Pair, state: str = "new") -> dict[str, Any]:
    return {
        "incident": {"reference": scene.crimes[pair.crime].reference},
        "wearer": {"reference": scene.wearers[pair.wearer].reference},
        "state": state,
    }


def played(scene: Scene, alerts: list[dict[str, Any]], events: list[Event] | None = None) -> Played:
    """Everything was acknowledged at second 0."""
    zeros = [np.zeros(count) for count in (scene.fixes.wearer.size, len(scene.crimes), len(scene.wearers))]
    return Played(Counts(), zeros[0], zeros[1], zeros[2], events or [], alerts, Counter(), alerts, 1.0, is_idle=True)


@pytest.fixture(scope="module")
def with_hits(scene: Scene) -> list[Pair]:
    pairs = [Pair(crime, wearer) for crime in range(len(scene.crimes)) for wearer in range(len(scene.wearers))]
    return [pair for pair in pairs if hits(scene, pair).size]


def test_hits_are_the_wearers_fixes_in_circle_and_padded_window(scene: Scene, with_hits: list[Pair]) -> None:
    fixes = scene.fixes
    for pair in with_hits[:10]:
        crime = scene.crimes[pair.crime]
        circle = STANDARD.circle(crime.kind.code)
        x_m, y_m = scene.town.address_x_m[crime.address], scene.town.address_y_m[crime.address]
        slow = [
            row
            for row in np.flatnonzero(fixes.wearer == pair.wearer).tolist()
            if (fixes.x_m[row] - x_m) ** 2 + (fixes.y_m[row] - y_m) ** 2 <= circle.radius_m**2
            and crime.from_s - circle.padding_s <= fixes.fixed_s[row] <= crime.to_s + circle.padding_s
        ]
        assert hits(scene, pair).tolist() == slow


def test_most_planted_offences_have_a_fix_in_their_circle(scene: Scene, with_hits: list[Pair]) -> None:
    planted = [Pair(number, crime.offender) for number, crime in enumerate(scene.crimes) if crime.offender >= 0]
    assert len(set(planted) & set(with_hits)) >= 0.8 * len(planted)


def test_each_alert_is_a_planted_offence_or_chance_and_each_missed_offence_has_its_reason(
    scene: Scene, with_hits: list[Pair]
) -> None:
    outcome = weigh(scene, played(scene, [alert(scene, pair) for pair in with_hits]))
    planted = {Pair(number, crime.offender) for number, crime in enumerate(scene.crimes) if crime.offender >= 0}
    assert set(outcome.found) == planted & set(with_hits)
    assert set(outcome.missed) == planted - set(with_hits)
    assert not {Missed.NOT_MATCHED, Missed.WEAK} & set(outcome.missed.values())
    assert {*outcome.chance_at_own_place, *outcome.chance_passing} == set(with_hits) - planted
    for pair in outcome.chance_passing:
        wearer, crime = scene.wearers[pair.wearer], scene.crimes[pair.crime]
        assert crime.address not in wearer.own_places


def test_an_offence_with_a_fix_in_its_circle_and_no_standing_alert_is_said_to_lack_one(
    scene: Scene, with_hits: list[Pair]
) -> None:
    pair = next(pair for pair in with_hits if scene.crimes[pair.crime].offender == pair.wearer)
    for alerts, why in (([], Missed.NOT_MATCHED), ([alert(scene, pair, "withdrawn")], Missed.WEAK)):
        assert weigh(scene, played(scene, alerts)).missed[pair] is why


def test_time_runs_from_the_request_that_completed_the_alert(scene: Scene, with_hits: list[Pair]) -> None:
    pair = next(pair for pair in with_hits if hits(scene, pair).size > 2)
    event = Event(10.0, "1", "alert.raised", alert(scene, pair))
    seen = played(scene, [], [event, event._replace(kind="alert.revised")])
    rows = hits(scene, pair)
    # The crime came first; of the fixes in its circle, that acknowledged first completed it.
    seen.fix_answered_s[rows] = 9.5
    seen.fix_answered_s[rows[1]] = 9.0
    seen.crime_answered_s[pair.crime] = 8.0
    assert weigh(scene, seen).ping_to_alert_s == [1.0]
    assert weigh(scene, seen).incident_to_alert_s == []
    # Now the fitting came last.
    seen.fitting_answered_s[pair.wearer] = 9.25
    assert weigh(scene, seen).ping_to_alert_s == []
    assert weigh(scene, seen).incident_to_alert_s == [0.75]
    assert summary(scene, seen, weigh(scene, seen))["incident_to_alert_ms"] == {"alerts": 1, "p50": 750.0, "p99": 750.0}
