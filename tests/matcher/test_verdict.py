from dataclasses import replace
from math import inf

import numpy as np
import pytest

from matcher import rounding
from matcher.evidence import Reached
from matcher.fixes import GPS, fixes_from_columns
from matcher.presence import Presence
from matcher.verdict import CANNOT_SAY, EXCLUDED, POSSIBLE, PRESENT, Coverage, coverage, verdict

COVERED = Coverage(fixes=10, share=1.0, longest_gap_s=60.0)
BARE = Coverage(fixes=0, share=0.0, longest_gap_s=600.0)
REACHED = Reached(False, True, 3.0, 100.0, 0, 1)
OUT_OF_REACH = Reached(True, True, 90.0, 0.0, 0, 1)


@pytest.mark.parametrize(
    ("highest", "covered", "reached", "expected"),
    [
        (0.5, COVERED, REACHED, PRESENT),
        (0.49996, COVERED, REACHED, PRESENT),
        (0.49994, COVERED, REACHED, POSSIBLE),
        (0.9, COVERED, OUT_OF_REACH, PRESENT),
        (0.0, COVERED, REACHED, POSSIBLE),
        (0.0, COVERED, OUT_OF_REACH, EXCLUDED),
        (0.0, BARE, OUT_OF_REACH, EXCLUDED),
        (0.0, COVERED, replace(OUT_OF_REACH, is_sound=False), CANNOT_SAY),
        (0.0, BARE, REACHED, CANNOT_SAY),
        (0.0, BARE._replace(share=0.1), REACHED, POSSIBLE),
        (0.0, BARE._replace(fixes=1), REACHED, POSSIBLE),
        (0.0, COVERED, replace(REACHED, is_sound=False), POSSIBLE),
    ],
)
def test_each_verdict_has_its_ground(highest: float, covered: Coverage, reached: Reached, expected: str) -> None:
    assert verdict(_presence(highest, 0.0), covered, reached) == expected


def test_coverage_counts_what_lies_in_the_window() -> None:
    at_us = np.array([-30, 0, 60, 360, 600, 610]) * 1_000_000
    fixes = fixes_from_columns(at_us, [0] * 6, [0] * 6, [500] * 6, [GPS] * 6)
    found = coverage(fixes, _presence(0.0, 450.0), 0, 600_000_000)
    assert found == Coverage(fixes=4, share=0.75, longest_gap_s=300.0)
    before = coverage(fixes, _presence(0.0, 0.0), -2000_000_000, -1000_000_000)
    assert before == Coverage(fixes=0, share=0.0, longest_gap_s=1000.0)
    assert coverage(fixes, _presence(0.0, 0.0), 0, 0) == Coverage(fixes=1, share=1.0, longest_gap_s=0.0)
    with pytest.raises(ValueError, match="ends before it starts, by 5 us"):
        coverage(fixes, _presence(0.0, 0.0), 5, 0)


def test_numbers_are_rounded_as_they_are_shown() -> None:
    assert rounding.probability(0.123456) == 0.1235
    assert rounding.metres(12.345678) == 12.35
    assert rounding.seconds(61.26) == 61.3
    assert [rounding.ratio(value) for value in (0.0, 0.0123456, 1.23456, 12345.6, 1e7, inf)] == [
        0,
        0.0123,
        1.23,
        12300,
        1e7,
        inf,
    ]


def _presence(highest: float, covered_s: float) -> Presence:
    return Presence(highest, 0, 0.0, 0, 0.0, 0.0, 0.0, 0.0, covered_s)
