"""Why an alert was revised, in words."""

from typing import Any

import pytest

from app.alerts.why import Weighing, why

BEFORE: dict[str, Any] = {"verdict": "present", "n_pings": 3, "coverage": {"share": 0.9}, "chance": None}


def said(causes: tuple[str, ...], changed: list[str], version: int = 1, **evidence: Any) -> str:  # noqa: ANN401 - JSON
    return why(Weighing(1, "p", BEFORE), Weighing(version, "p", BEFORE | evidence), causes, changed)


@pytest.mark.parametrize(
    ("causes", "version", "beginning"),
    [
        (("pings",), 1, "Later pings moved"),
        (("fittings",), 1, "A new or corrected activation moved"),
        (("device_events", "pings"), 1, "Later pings and a device event moved"),
        (("licences",), 1, "A new or corrected licence moved"),
        (("incident",), 2, "The amended incident (version 1 to 2) moved"),
        (("pings", "fittings", "incident"), 3, "Later pings, a new or corrected activation and the amended incident"),
        ((), 1, "A new evaluation moved"),
    ],
)
def test_what_came_in_is_named(causes: tuple[str, ...], version: int, beginning: str) -> None:
    assert said(causes, ["n_pings"], version, n_pings=2).startswith(beginning)


def test_what_has_no_words_of_its_own_is_named_as_the_evidence_does() -> None:
    assert said(("pings",), ["coverage"], coverage={"share": 1.0}) == "Later pings changed coverage."


def test_a_licence_changes_whether_the_window_meets_it() -> None:
    assert said(("licences",), ["on_licence"], on_licence=False) == (
        "A new or corrected licence changed whether the window meets the licence."
    )


def test_a_number_that_was_not_there_before_comes_from_none() -> None:
    assert said(("pings",), ["chance"], chance={"ratio": 12.0}) == (
        "Later pings moved the likelihood ratio from none to 12.0."
    )


def test_numbers_have_as_many_decimals_as_tell_them_apart() -> None:
    one, other = ({"inside": {"highest": p}} for p in (0.9012, 0.9018))
    assert "from 0.9012 to 0.9018" in why(Weighing(1, "p", one), Weighing(1, "p", other), ("pings",), ["inside"])


def test_evidence_that_is_gone_or_back_is_said_so() -> None:
    gone, there = Weighing(1, "p", None), Weighing(1, "p", BEFORE)
    assert why(there, gone, ("fittings",), ["verdict"]) == (
        "A new or corrected activation left nothing that places the wearer there."
    )
    assert why(gone, there, ("pings",), ["verdict"]) == "Later pings brought the match back."
