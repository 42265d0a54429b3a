"""The evidence in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from matcher.evidence import Covered, Event, Evidence, Jump, Quality
from matcher.profile import MOJ_COMPATIBLE, RADIUS_100M, STANDARD
from matcher.sentence import Said, sentences
from matcher.weigh import weigh
from tests.matcher.cases import Row, context, crime, elsewhere, history, visit_of

RADIUS_M = STANDARD.circle("BIAD").radius_m


def _clock(us: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us):%H:%M}"


def _said(evidence: Evidence) -> Said:
    return sentences(evidence, _clock)


@pytest.fixture(scope="module")
def present() -> Evidence:
    return weigh(context(visit_of(4), history=history(elsewhere(), STANDARD)), crime(), STANDARD)


def test_who_was_there_is_said_with_times_and_the_nearest(present: Evidence) -> None:
    said = _said(present)
    assert said.finding == f"5 positions within {RADIUS_M:.0f} m between 10:17 and 10:21, nearest 21 m."
    assert any(one.startswith("Visit A, 10:1") and "Came from the east" in one for one in said.in_favour)
    assert any(one.startswith("On 0 days of 90 comparable ones") for one in said.in_favour)
    assert any("moment of the crime itself" in one for one in said.against)


def test_nothing_is_called_certain(present: Evidence) -> None:
    told = " ".join([*_said(present).in_favour, *_said(present).against])
    assert "over 99 %" in told
    assert "100 %" not in told


def test_what_counts_against_stands_beside_what_counts_for(present: Evidence) -> None:
    assert present.chance is not None
    doubtful = replace(
        present,
        n_pings=1,
        quality=Quality(median_r95_m=300.0, unknown_accuracy=1, by_source={"lbs": 1}),
        coverage=Covered(share=0.4, fixes=3, longest_gap_s=900.0),
        events=(Event(present.from_us, "strap_tamper"),),
        jumps=(Jump(present.from_us, present.to_us, 2, 900.0),),
        conflicts=2,
        chance=replace(present.chance, as_much=40, ratio_low=0.7),
        on_licence=False,
    )
    against = _said(doubtful).against
    for part in (
        "single position",
        "1 position inside states no accuracy",
        "only good to 300 m",
        "cover 40 % of the window",
        "longest time without a position is 15 min",
        "strap tampered with at 09:57",
        "1 jump that nobody could have made; 2 positions set aside",
        "At 2 moments the tag gave positions that differ",
        "on 40 of 90 comparable days",
        "ordinary life may explain it",
        "outside the licence",
    ):
        assert sum(part in one for one in against) == 1, part


def test_who_could_not_have_been_there_is_told_the_speed_it_would_have_taken() -> None:
    evidence = weigh(context(elsewhere(20_000)), crime(), STANDARD)
    assert evidence.reach is not None
    said = _said(evidence)
    assert said.finding.startswith(
        f"Could not have been there: it would have taken {evidence.reach.needed_mps:.0f} m/s"
    )
    assert said.in_favour == []
    never = replace(evidence, reach=replace(evidence.reach, needed_mps=float("inf")))
    assert _said(never).finding == "Could not have been there: no speed would have been enough."


def test_a_line_is_said_to_be_inferred() -> None:
    drive: list[Row] = [(60.0 * i + 30, 1000.0 * i + 500, 0.8 * RADIUS_M, 8, 1) for i in range(-40, 60)]
    said = _said(weigh(context(drive), crime(), STANDARD))
    assert said.finding.startswith(
        f"No position within {RADIUS_M:.0f} m, but the straight way between two of them leads"
    )
    assert "Presence is inferred between positions, not seen." in said.against


def test_what_cannot_be_said_is_said_so() -> None:
    assert _said(weigh(context([]), crime(), STANDARD)).finding.startswith("No usable position in the window")
    tampered = weigh(context(elsewhere(20_000), events=[(-600, "strap_tamper")]), crime(), STANDARD)
    assert "could not vouch" in _said(tampered).finding
    assert "this rule does not say who was elsewhere" in _said(weigh(context([]), crime(), MOJ_COMPATIBLE)).finding


def test_too_little_history_is_said() -> None:
    evidence = weigh(context(visit_of(4), history=history(elsewhere(), STANDARD, days=3)), crime(), STANDARD)
    assert any("too little history" in one for one in _said(evidence).against)


@pytest.mark.parametrize("days", [3, 90])
@pytest.mark.parametrize("rows", [visit_of(4), elsewhere(20_000), []])
def test_outside_the_licence_is_said_whatever_else_is(rows: list[Row], days: int) -> None:
    evidence = weigh(context(rows, history=history(elsewhere(), STANDARD, days=days)), crime(), STANDARD)
    for on_licence in (None, True, False):
        against = _said(replace(evidence, on_licence=on_licence)).against
        assert ("The window lies outside the licence." in against) == (on_licence is False)


def test_by_radius_the_finding_has_no_probability() -> None:
    said = _said(weigh(context([(300.0, 18, 0, 5, 1)]), crime(), RADIUS_100M))
    assert said.finding == "1 position within 100 m at 10:12, nearest 18 m."
    assert "It rests on a single position." in said.against
