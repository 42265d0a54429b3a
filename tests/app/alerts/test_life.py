"""What becomes of an alert when its match is weighed anew."""

from typing import Any

import pytest

from app.alerts.life import Finding, Revision, Standing, next_revision
from app.alerts.why import Weighing

NEAR: dict[str, Any] = {"verdict": "present", "n_pings": 3, "min_dist_m": 12.5, "inside": {"highest": 0.62}}
NEARER: dict[str, Any] = NEAR | {"n_pings": 4, "min_dist_m": 8.0}
LINE: dict[str, Any] = NEAR | {"verdict": "possible", "n_pings": 0, "min_dist_m": None, "inside": {"highest": 0.03}}


def weighed(evidence: dict[str, Any] | None, version: int = 1, profile: str = "standard version 1") -> Weighing:
    return Weighing(version, profile, evidence)


def found(evidence: dict[str, Any] | None, version: int = 1, *, is_alerted: bool = True) -> Finding:
    return Finding(weighed(evidence, version), None, ("pings",), is_alerted)


def test_a_first_finding_raises_an_alert_only_if_people_are_to_be_told() -> None:
    assert next_revision(None, found(NEAR)) == Revision(1, "raised", "new", "First match.", [])
    assert next_revision(None, found(LINE, is_alerted=False)) is None
    assert next_revision(None, found(None, is_alerted=False)) is None


@pytest.mark.parametrize("state", ["new", "in_review", "decided"])
def test_the_same_finding_again_changes_nothing(state: str) -> None:
    assert next_revision(Standing(state, 4, weighed(NEAR)), found(NEAR)) is None
    # An amendment that leaves the evidence as it was is none of the alert's business.
    assert next_revision(Standing(state, 4, weighed(NEAR)), found(NEAR, 2)) is None


def test_the_same_evidence_by_another_profile_revises() -> None:
    revision = next_revision(Standing("new", 1, weighed(NEAR, profile="standard version 1")), found(NEAR))
    assert revision is None
    revision = next_revision(Standing("new", 1, weighed(NEAR, profile="radius-100m version 1")), found(NEAR))
    assert revision is not None
    assert revision.changed == ["profile"]
    assert "another profile (radius-100m version 1 to standard version 1)" in revision.why


@pytest.mark.parametrize("state", ["new", "in_review", "decided"])
def test_other_evidence_revises_and_leaves_the_state(state: str) -> None:
    assert next_revision(Standing(state, 1, weighed(NEAR)), found(NEARER)) == Revision(
        2,
        "revised",
        state,
        "Later pings moved positions inside from 3 to 4 and the nearest position (m) from 12.50 to 8.00.",
        ["min_dist_m", "n_pings"],
    )


def test_other_evidence_brings_what_awaits_a_second_check_back_into_review() -> None:
    standing = Standing("awaiting_second_check", 1, weighed(NEAR))
    revision = next_revision(standing, found(NEARER))
    assert revision is not None
    assert (revision.kind, revision.state) == ("revised", "in_review")
    assert next_revision(standing, found(NEAR, 2)) is None


def test_an_alert_whose_match_falls_below_is_withdrawn_once() -> None:
    revision = next_revision(Standing("decided", 2, weighed(NEAR)), found(LINE, is_alerted=False))
    assert revision is not None
    assert (revision.kind, revision.state, revision.revision) == ("withdrawn", "withdrawn", 3)
    assert revision.why.startswith(
        "Later pings moved the probability from 0.62 to 0.03, the verdict from present to possible, positions inside"
    )
    assert next_revision(Standing("withdrawn", 3, weighed(LINE, 2)), found(None, 3, is_alerted=False)) is None


def test_a_withdrawn_alert_comes_back_for_review() -> None:
    revision = next_revision(Standing("withdrawn", 3, weighed(None)), found(NEAR))
    assert revision is not None
    assert (revision.kind, revision.state, revision.revision) == ("reopened", "in_review", 4)
