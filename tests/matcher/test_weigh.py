"""What one call says of a wearer and an incident: verdicts, profiles, alerts, and what it may depend on."""

import json
from dataclasses import replace

import numpy as np
import pytest

from matcher.context import FLANK, History, Incident, context_bounds, fixes_of, history_stretches, needs_to_us
from matcher.evidence import NOT_NEEDED, NOT_READ, TOO_LITTLE, WEIGHED
from matcher.profile import BUILT_IN, MOJ_COMPATIBLE, RADIUS_100M, STANDARD, Profile
from matcher.weigh import evaluate, evaluate_many, is_alerted, is_match, judge, weigh, with_history
from tests.matcher.cases import (
    CRIME_US,
    DAY_US,
    LAT_DEG,
    LON_DEG,
    MINUTE_US,
    Row,
    context,
    crime,
    elsewhere,
    history,
    pings,
    rows_where,
    shuffled,
    visit_of,
)

RADIUS_M = STANDARD.circle("BIAD").radius_m
PROFILES = pytest.mark.parametrize("profile", BUILT_IN, ids=lambda profile: profile.name)


def test_who_stays_for_four_minutes_and_was_never_there_before_is_alerted() -> None:
    evidence = evaluate(context(visit_of(4), history=history(elsewhere(), STANDARD)), crime(), STANDARD)
    assert evidence is not None
    assert (evidence.verdict, evidence.history) == ("present", WEIGHED)
    assert evidence.inside is not None
    assert evidence.chance is not None
    assert evidence.inside.highest > 0.99
    assert evidence.inside_s == pytest.approx(240, abs=40)
    assert (evidence.chance.days, evidence.chance.as_much) == (90, 0)
    assert is_alerted(evidence, STANDARD)


def test_who_lives_there_is_present_and_not_alerted() -> None:
    at_home: list[Row] = [(60.0 * i, 30, 10, 8, 1) for i in range(-60, 120)]
    evidence = evaluate(context(at_home, history=history(at_home, STANDARD)), crime(), STANDARD)
    assert evidence is not None
    assert evidence.verdict == "present"
    assert evidence.chance is not None
    assert evidence.chance.as_much == 90
    assert evidence.chance.ratio == pytest.approx(1, abs=0.02)
    assert not is_alerted(evidence, STANDARD)


def test_a_stay_shorter_than_the_offence_takes_is_not_alerted() -> None:
    evidence = evaluate(context(visit_of(4), history=history(elsewhere(), STANDARD)), crime(), STANDARD)
    assert evidence is not None
    longest = replace(STANDARD.circle("BIAD"), min_stay_s=evidence.inside_s)
    assert is_alerted(evidence, replace(STANDARD, circles=STANDARD.circles | {"BIAD": longest}))
    longer = replace(longest, min_stay_s=evidence.inside_s + 0.1)
    assert not is_alerted(evidence, replace(STANDARD, circles=STANDARD.circles | {"BIAD": longer}))


def test_a_ratio_below_that_of_the_profile_is_not_alerted() -> None:
    evidence = evaluate(context(visit_of(4), history=history(elsewhere(), STANDARD)), crime(), STANDARD)
    assert evidence is not None
    assert evidence.chance is not None
    ratio = evidence.chance.ratio
    assert is_alerted(evidence, replace(STANDARD, telling=replace(STANDARD.telling, alert_lr=ratio)))
    assert not is_alerted(evidence, replace(STANDARD, telling=replace(STANDARD.telling, alert_lr=ratio + 0.1)))


def test_history_is_asked_for_only_where_somebody_is_present() -> None:
    present = weigh(context(visit_of(4)), crime(), STANDARD)
    assert (present.needs_history, present.history, present.chance) == (True, NOT_READ, None)
    with pytest.raises(ValueError, match="not final"):
        is_alerted(present, STANDARD)
    away = weigh(context(elsewhere(500)), crime(), STANDARD)
    assert (away.needs_history, away.history) == (False, NOT_NEEDED)
    assert weigh(context(elsewhere(500), history=history(elsewhere(), STANDARD)), crime(), STANDARD) == away


def test_with_too_little_history_the_probability_at_the_crime_decides() -> None:
    evidence = weigh(context(visit_of(4), history=history(elsewhere(), STANDARD, days=6)), crime(), STANDARD)
    assert (evidence.history, evidence.chance) == (TOO_LITTLE, None)
    assert evidence.inside is not None
    at_crime = evidence.inside.at_crime
    assert is_alerted(evidence, replace(STANDARD, telling=replace(STANDARD.telling, alert_at_crime=at_crime)))
    assert not is_alerted(
        evidence, replace(STANDARD, telling=replace(STANDARD.telling, alert_at_crime=at_crime + 1e-4))
    )


def test_who_was_far_away_all_along_is_excluded_with_the_speed_it_would_have_taken() -> None:
    evidence = weigh(context(elsewhere(20_000)), crime(), STANDARD)
    assert evidence.verdict == "excluded"
    assert evidence.reach is not None
    assert evidence.reach.needed_mps > 60
    assert evidence.reach.is_excluded
    assert (evidence.n_pings, evidence.visits, evidence.near_m) == (0, 0, None)
    assert not is_match(evidence, STANDARD)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("strap_tamper", "cannot_say"), ("removed", "cannot_say"), ("charging_started", "excluded")],
)
def test_what_the_tag_reports_decides_whether_it_can_exclude(kind: str, expected: str) -> None:
    evidence = weigh(context(elsewhere(20_000), events=[(-600, kind)]), crime(), STANDARD)
    assert evidence.verdict == expected
    assert [event.kind for event in evidence.events] == [kind]


def test_a_time_without_a_fitting_excludes_nobody() -> None:
    fitted = [(-1e6, 300.0), (301.0, 1e6)]
    assert weigh(context(elsewhere(20_000), fitted_s=fitted), crime(), STANDARD).verdict == "cannot_say"
    touching = [(-1e6, 300.0), (300.000001, 1e6)]
    assert weigh(context(elsewhere(20_000), fitted_s=touching), crime(), STANDARD).verdict == "excluded"


def test_without_a_fix_nothing_can_be_said() -> None:
    evidence = weigh(context([]), crime(), STANDARD)
    assert evidence.verdict == "cannot_say"
    assert evidence.coverage is not None
    assert (evidence.coverage.share, evidence.coverage.fixes) == (0, 0)
    assert evidence.as_json()["reach"] is not None
    assert not is_match(evidence, STANDARD)


def test_a_car_between_two_fixes_is_possible_and_inferred() -> None:
    drive: list[Row] = [(60.0 * i + 30, 1000.0 * i + 500, 0.8 * RADIUS_M, 8, 1) for i in range(-40, 60)]
    evidence = evaluate(context(drive), crime(), STANDARD)
    assert evidence is not None
    assert (evidence.n_pings, evidence.visits) == (0, 1)
    assert evidence.near_m == pytest.approx(0.8 * RADIUS_M, abs=0.5)
    (stay,) = evidence.stays
    assert (stay.n_pings, stay.seen_s, stay.has_entry, stay.has_exit) == (0, 0, True, True)
    assert stay.inferred_s == pytest.approx(1.2 * RADIUS_M / 1000 * 60, abs=0.2)
    assert (stay.enter_bearing_deg, stay.leave_bearing_deg) == (90, 90)


def test_a_false_fix_is_set_aside_and_listed() -> None:
    rows = [*visit_of(4), (630.0, 40_000.0, 0.0, 5.0, 1)]
    evidence = weigh(context(rows, conflicts_s=(660.0, 90_000.0)), crime(), STANDARD)
    assert evidence.n_pings == weigh(context(visit_of(4)), crime(), STANDARD).n_pings
    (jump,) = evidence.jumps
    assert (jump.set_aside, jump.before_us) == (1, CRIME_US + 10 * MINUTE_US)
    assert jump.speed_mps > 1000
    assert evidence.conflicts == 1


def test_a_match_needs_what_the_join_finds() -> None:
    # An imprecise fix may be inside with more than one in a hundred, and lie where the join does not look.
    edge_m = RADIUS_M + STANDARD.candidate_margin_m
    near: list[Row] = [(60.0 * i, edge_m - 10, 0, 400, 1) for i in range(-20, 40)]
    far: list[Row] = [(60.0 * i, edge_m + 10, 0, 400, 1) for i in range(-20, 40)]
    within, beyond = (weigh(context(rows), crime(), STANDARD) for rows in (near, far))
    for evidence in (within, beyond):
        assert evidence.inside is not None
        assert evidence.inside.ever > STANDARD.telling.least_ever
        assert evidence.visits == 0
    assert is_match(within, STANDARD)
    assert not is_match(beyond, STANDARD)
    assert not is_match(within, replace(STANDARD, telling=replace(STANDARD.telling, least_ever=1.0)))


def test_by_radius_a_position_counts_whatever_its_accuracy() -> None:
    rows: list[Row] = [(300.0, 90, 0, 2000, 5), (360.0, 110, 0, 5, 1)]
    evidence = evaluate(context(rows), crime(), RADIUS_100M)
    assert evidence is not None
    assert (evidence.verdict, evidence.n_pings) == ("present", 1)
    assert evidence.min_dist_m == pytest.approx(90, abs=0.5)
    assert is_alerted(evidence, RADIUS_100M)
    assert evidence.quality.by_source == {"lbs": 1}


def test_by_radius_a_line_alone_is_possible_and_not_alerted() -> None:
    drive: list[Row] = [(60.0 * i + 30, 1000.0 * i + 500, 80, 8, 1) for i in range(-40, 60)]
    evidence = evaluate(context(drive), crime(), RADIUS_100M)
    assert evidence is not None
    assert (evidence.verdict, evidence.n_pings, evidence.min_dist_m) == ("possible", 0, None)
    assert not is_alerted(evidence, RADIUS_100M)
    assert evaluate(context(elsewhere()), crime(), RADIUS_100M) is None


def test_by_overlap_half_of_the_circle_of_accuracy_must_be_inside() -> None:
    # At 80 m more than half of a circle of 60 m lies inside 100 m, and less than half of one of 110 m.
    assert evaluate(context([(300.0, 80, 0, 60, 1)]), crime(), MOJ_COMPATIBLE) is not None
    assert evaluate(context([(300.0, 80, 0, 110, 1)]), crime(), MOJ_COMPATIBLE) is None
    # A circle more than √2 as wide holds less than half of it wherever it lies.
    assert evaluate(context([(300.0, 0, 0, 141, 1)]), crime(), MOJ_COMPATIBLE) is not None
    assert evaluate(context([(300.0, 0, 0, 142, 1)]), crime(), MOJ_COMPATIBLE) is None
    # An accuracy that is not stated takes the default of its source: gps 30 m, lbs 1,500 m.
    assert evaluate(context([(300.0, 50, 0, 0, 1)]), crime(), MOJ_COMPATIBLE) is not None
    assert evaluate(context([(300.0, 50, 0, 0, 5)]), crime(), MOJ_COMPATIBLE) is None


def test_by_overlap_visits_are_runs_of_positions_that_count() -> None:
    rows: list[Row] = [(60.0 * i, 20 if i in {1, 2, 5} else 400, 0, 8, 1) for i in range(8)]
    evidence = evaluate(context(rows), crime(), MOJ_COMPATIBLE)
    assert evidence is not None
    assert [(stay.label, stay.n_pings, stay.seen_s) for stay in evidence.stays] == [("A", 2, 60.0), ("B", 1, 0.0)]
    assert is_alerted(evidence, MOJ_COMPATIBLE)


# What an evaluation may not depend on.


@PROFILES
def test_the_order_of_the_columns_and_repetition_change_nothing(profile: Profile) -> None:
    case = context(visit_of(4), history=history(elsewhere(), profile))
    expected = weigh(case, crime(), profile)
    for seed in range(3):
        assert weigh(case._replace(pings=shuffled(case.pings, seed)), crime(), profile) == expected
    if profile is STANDARD:
        twice = case.pings._replace(**{n: np.repeat(c, 2) for n, c in case.pings._asdict().items()})
        assert replace(weigh(case._replace(pings=shuffled(twice, 1)), crime(), profile)) == expected


@PROFILES
def test_a_shift_in_time_shifts_the_times_and_nothing_else(profile: Profile) -> None:
    case = context(visit_of(4))
    by_us = 35 * DAY_US + 3 * MINUTE_US
    later = case._replace(pings=case.pings._replace(fixed_at_us=case.pings.fixed_at_us + by_us))
    then = crime()._replace(from_us=CRIME_US + by_us, to_us=CRIME_US + by_us + 20 * MINUTE_US)
    shown, expected = weigh(later, then, profile).as_json(), weigh(case, crime(), profile).as_json()
    assert _without_times(shown) == _without_times(expected)


def test_a_shift_in_space_changes_next_to_nothing() -> None:
    case = context(visit_of(4))
    moved = case.pings._replace(lon_e7=case.pings.lon_e7 + 12_345_678)
    there = Incident(LON_DEG + 1.2345678, LAT_DEG, "BIAD", CRIME_US, CRIME_US + 20 * MINUTE_US)
    one, two = weigh(case, crime(), STANDARD), weigh(case._replace(pings=moved), there, STANDARD)
    assert one.inside is not None
    assert two.inside is not None
    assert one.inside.at_crime == pytest.approx(two.inside.at_crime, abs=1e-3)
    assert (one.n_pings, one.verdict, one.visits) == (two.n_pings, two.verdict, two.visits)


@PROFILES
def test_many_are_evaluated_as_each_alone(profile: Profile) -> None:
    cases = [(context(visit_of(minutes)), crime()) for minutes in (1, 4, 20)] + [(context(elsewhere()), crime())]
    assert list(evaluate_many(cases, profile)) == [evaluate(case, incident, profile) for case, incident in cases]


@PROFILES
def test_nothing_beyond_the_bounds_of_the_context_counts(profile: Profile) -> None:
    bounds = context_bounds(crime(), profile)
    inside = context(visit_of(4), events=[(100.0, "battery_low")])
    expected = weigh(inside, crime(), profile)
    outside: list[Row] = [((at - CRIME_US) / 1e6, 0, 0, 5, 1) for at in (bounds.from_us - 1, bounds.to_us + 1)]
    events = [(100.0, "battery_low"), ((bounds.history_from_us - 1 - CRIME_US) / 1e6, "strap_tamper")]
    beyond = context([*visit_of(4), *outside], events=events)
    assert weigh(beyond, crime(), profile) == expected


@pytest.mark.parametrize("accuracy_m", [8, 0])
def test_what_is_later_than_needed_changes_nothing(accuracy_m: float) -> None:
    # Without a stated accuracy none of them can exclude: the prism would go on to the later ones, which can.
    rows = visit_of(30, accuracy_m)
    case = context(rows)
    needed_us = needs_to_us(case, crime(), STANDARD)
    expected = weigh(case, crime(), STANDARD)
    assert needed_us == CRIME_US + (30 + FLANK) * MINUTE_US
    rng = np.random.default_rng(1)
    for _ in range(5):
        late = [(float(s), float(rng.normal(0, 5000)), 0.0, 5.0, 1) for s in rng.uniform(0, 6e4, 30)]
        late_pings = [(needed_us - CRIME_US) / 1e6 + 1e-6 + row[0] for row in late]
        more = [*rows, *((at_s, *row[1:]) for at_s, row in zip(late_pings, late, strict=True))]
        told = context(more, events=[(late_pings[0], "strap_tamper")])
        assert weigh(told, crime(), STANDARD) == expected
        assert needs_to_us(told, crime(), STANDARD) == needed_us


def test_the_last_moment_needed_is_needed() -> None:
    """Each of the fixes in the flank may change something; with too few of them the end of the context is needed."""
    rows = visit_of(30)
    case = context(rows)
    needed_us = needs_to_us(case, crime(), STANDARD)
    short = case._replace(pings=rows_where(case.pings, case.pings.fixed_at_us < needed_us))
    assert needs_to_us(short, crime(), STANDARD) == context_bounds(crime(), STANDARD).to_us
    beside = weigh(context(elsewhere(20_000)), crime(), STANDARD)
    assert beside.reach is not None
    assert beside.reach.rests_to_us < needed_us


def test_a_whole_trail_for_history_says_what_its_stretches_say() -> None:
    rng = np.random.default_rng(3)
    days = 30
    at_s = np.arange(-days * 86_400, 0, 60.0)
    # Past the place every day at about that hour, somewhere else otherwise, with a false fix now and then.
    hour = (at_s / 3600) % 24
    x_m = np.where((hour > 0) & (hour < 0.3), rng.normal(40, 60, at_s.size), 4000.0)
    x_m[rng.random(at_s.size) < 0.01] += 50_000
    rows = [(float(s), float(x), 0.0, 8.0, 1) for s, x in zip(at_s, x_m, strict=True)]
    shifts_us = -DAY_US * np.arange(days - 1, 0, -1)
    whole = pings(rows)
    stretches = history_stretches(crime(), STANDARD, shifts_us)
    wanted = np.any(
        (whole.fixed_at_us[:, None] >= stretches[:, 0]) & (whole.fixed_at_us[:, None] <= stretches[:, 1]), axis=1
    )
    assert 0 < wanted.sum() < 0.2 * wanted.size
    found = [
        weigh(context(visit_of(4), history=History(fixes_of(some, ("acme",), STANDARD), shifts_us)), crime(), STANDARD)
        for some in (whole, rows_where(whole, wanted))
    ]
    assert found[0] == found[1]
    assert found[0].chance is not None
    assert found[0].chance.rate > 0.02


def test_comparable_days_lie_before_the_crime_and_not_too_far_back() -> None:
    with pytest.raises(ValueError, match="lie before the incident"):
        history_stretches(crime(), STANDARD, np.array([-DAY_US // 100]))
    with pytest.raises(ValueError, match="by at most 90 days"):
        history_stretches(crime(), STANDARD, np.array([-92 * DAY_US]))
    assert history_stretches(crime(), STANDARD, np.array([], np.int64)).shape == (0, 2)
    bounds = context_bounds(crime(), STANDARD)
    stretches = history_stretches(crime(), STANDARD, -DAY_US * np.arange(1, 91))
    assert stretches[0, 0] >= bounds.history_from_us
    assert np.all(stretches[1:, 0] > stretches[:-1, 1])


@PROFILES
def test_a_pair_is_judged_as_it_is_weighed(profile: Profile) -> None:
    candidates = list[bool]()
    for away_m in (0, 60, 75, 90, 120, 200, 340, 360, 3000):
        rows: list[Row] = [(60.0 * i, away_m, 0.0, 15.0, 1) for i in range(-20, 60)]
        weighed, judged = weigh(context(rows), crime(), profile), judge(context(rows), crime(), profile)
        assert judged.evidence == (weighed if is_match(weighed, profile) else None)
        assert judged.is_candidate == weighed.is_candidate
        candidates.append(judged.is_candidate and judged.evidence is None)
    assert any(candidates) == (profile.name == "standard")
    assert not judge(context(elsewhere()), crime(), profile).is_candidate


def test_evidence_with_its_history_is_what_is_weighed_with_it() -> None:
    for before in (elsewhere(), visit_of(4), visit_of(30)):
        whole = context(visit_of(4), history=history(before, STANDARD))
        first = weigh(whole._replace(history=None), crime(), STANDARD)
        assert first.needs_history
        assert with_history(first, whole, crime(), STANDARD) == weigh(whole, crime(), STANDARD)


@PROFILES
def test_the_json_holds_every_number_and_nothing_that_json_lacks(profile: Profile) -> None:
    for rows in (visit_of(4), elsewhere(20_000), []):
        shown = weigh(context(rows), crime(), profile).as_json()
        assert json.loads(json.dumps(shown, allow_nan=False)) == shown
        assert shown["schema"] == 3
        assert "is_candidate" not in shown


def test_an_unknown_offence_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown offence 'XX'"):
        weigh(context([]), crime(offence="XX"), STANDARD)


def _without_times(shown: object) -> object:
    if isinstance(shown, dict):
        return {name: _without_times(value) for name, value in shown.items() if not name.endswith("_at")}
    return [_without_times(part) for part in shown] if isinstance(shown, list) else shown
