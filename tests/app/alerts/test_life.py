"""What becomes of an alert when its match is weighed anew."""

import pytest

from app.alerts.life import Finding, Revision, Standing, next_revision

NEAR: dict[str, object] = {"schema": 1, "verdict": "present", "n_pings": 3, "min_dist_m": 12.5}
NEARER: dict[str, object] = NEAR | {"n_pings": 4, "min_dist_m": 8.0}
LINE: dict[str, object] = NEAR | {"verdict": "possible", "n_pings": 0, "min_dist_m": None}


def test_a_first_finding_raises_an_alert_only_if_people_are_to_be_told() -> None:
    assert next_revision(None, Finding(1, NEAR, is_alerted=True)) == Revision(1, "raised", "new", "First match.", [])
    assert next_revision(None, Finding(1, LINE, is_alerted=False)) is None
    assert next_revision(None, Finding(1, None, is_alerted=False)) is None


@pytest.mark.parametrize("state", ["new", "in_review", "decided"])
def test_the_same_finding_again_changes_nothing(state: str) -> None:
    assert next_revision(Standing(state, 4, 1, NEAR), Finding(1, NEAR, is_alerted=True)) is None
    # An amendment that leaves the evidence as it was is none of the alert's business.
    assert next_revision(Standing(state, 4, 1, NEAR), Finding(2, NEAR, is_alerted=True)) is None


@pytest.mark.parametrize("state", ["new", "in_review", "decided"])
def test_other_evidence_revises_and_leaves_the_state(state: str) -> None:
    revision = next_revision(Standing(state, 1, 1, NEAR), Finding(1, NEARER, is_alerted=True))
    assert revision == Revision(
        2,
        "revised",
        state,
        "Positions or fittings came or were corrected: "
        "positions inside from 3 to 4, nearest position (m) from 12.5 to 8.0.",
        ["min_dist_m", "n_pings"],
    )


def test_other_evidence_brings_what_awaits_a_second_check_back_into_review() -> None:
    standing = Standing("awaiting_second_check", 1, 1, NEAR)
    revision = next_revision(standing, Finding(1, NEARER, is_alerted=True))
    assert revision is not None
    assert (revision.kind, revision.state) == ("revised", "in_review")
    assert next_revision(standing, Finding(2, NEAR, is_alerted=True)) is None


def test_an_alert_whose_match_falls_below_is_withdrawn_once() -> None:
    revision = next_revision(Standing("decided", 2, 1, NEAR), Finding(2, LINE, is_alerted=False))
    assert revision is not None
    assert (revision.kind, revision.state, revision.revision) == ("withdrawn", "withdrawn", 3)
    assert revision.why.startswith("The incident was amended (version 1 to 2): verdict from present to possible")
    assert next_revision(Standing("withdrawn", 3, 2, LINE), Finding(3, None, is_alerted=False)) is None


def test_a_withdrawn_alert_comes_back_for_review() -> None:
    revision = next_revision(Standing("withdrawn", 3, 2, None), Finding(3, NEAR, is_alerted=True))
    assert revision is not None
    assert (revision.kind, revision.state, revision.revision) == ("reopened", "in_review", 4)
    assert "positions inside from none to 3" in revision.why
