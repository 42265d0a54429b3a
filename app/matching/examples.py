"""A match's evidence as the API gives it, by `standard`: eleven minutes at a burglary, and ninety nights elsewhere."""

from typing import Any

EVIDENCE_EXAMPLE: dict[str, Any] = {
    "schema": 3,
    "algorithm": "evidence-3",
    "rule": "presence",
    "verdict": "present",
    "offence": "BIAD",
    "radius_m": 50.0,
    "from_at": "2026-03-14T01:50:00.000000Z",
    "to_at": "2026-03-14T02:40:00.000000Z",
    "n_pings": 12,
    "min_dist_m": 7.82,
    "closest_at": "2026-03-14T02:12:00.000000Z",
    "first_at": "2026-03-14T02:11:00.000000Z",
    "last_at": "2026-03-14T02:22:00.000000Z",
    "near_m": 7.82,
    "near_at": "2026-03-14T02:12:00.000000Z",
    "enter_at": "2026-03-14T02:10:10.842416Z",
    "leave_at": "2026-03-14T02:22:36.433586Z",
    "inside_s": 743.6,
    "visits": 1,
    "stays": [
        {
            "label": "A",
            "enter_at": "2026-03-14T02:10:10.842416Z",
            "leave_at": "2026-03-14T02:22:36.433586Z",
            "has_entry": True,
            "has_exit": True,
            "n_pings": 12,
            "first_at": "2026-03-14T02:11:00.000000Z",
            "last_at": "2026-03-14T02:22:00.000000Z",
            "seen_s": 660.0,
            "inferred_s": 85.6,
            "near_m": 7.82,
            "near_at": "2026-03-14T02:12:00.000000Z",
            "enter_bearing_deg": 0.0,
            "leave_bearing_deg": 0.0,
        },
    ],
    "quality": {
        "median_r95_m": 12.0,
        "unknown_accuracy": 0,
        "by_source": {"gps": 12},
    },
    "inside": {
        "highest": 1.0,
        "highest_at": "2026-03-14T02:12:00.000000Z",
        "seen": 1.0,
        "seen_at": "2026-03-14T02:12:00.000000Z",
        "ever": 1.0,
        "at_crime": 0.3098,
        "known": 1.0,
    },
    "reach": {
        "is_excluded": False,
        "is_sound": True,
        "needed_mps": 0.0,
        "longest_stay_s": 957.5,
        "rests_from_at": "2026-03-14T01:48:00.000000Z",
        "rests_to_at": "2026-03-14T02:42:00.000000Z",
    },
    "coverage": {
        "share": 1.0,
        "fixes": 51,
        "longest_gap_s": 60.0,
    },
    "events": [
        {
            "at": "2026-03-14T02:36:00.000000Z",
            "kind": "battery_low",
        },
    ],
    "jumps": [],
    "conflicts": 0,
    "on_licence": None,
    "history": "weighed",
    "chance": {
        "days": 90,
        "as_much": 0,
        "throughout": 0.168,
        "rate": 0.00185,
        "rate_low": 9.48e-05,
        "rate_high": 0.00859,
        "ratio": 91.0,
        "ratio_low": 19.6,
        "ratio_high": 1770.0,
        "most": 19.6,
        "words": "moderate support",
        "most_words": "moderate support",
    },
}

SAID_EXAMPLE: dict[str, Any] = {
    "finding": "12 positions within 50 m between 02:11 and 02:22, nearest 8 m.",
    "in_favour": [
        "The probability of being inside was highest at 02:12: over 99 %.",
        "Expected time inside: 12 min.",
        (
            "Visit A, 02:10 to 02:22: 11 min seen, 86 s inferred between positions. Came from the "
            "south. Left to the north."
        ),
        (
            "On 0 days of 90 comparable ones the person was there as much; presence throughout such "
            "an offence is 91 times what their ordinary life makes it, at least 19.6 times: moderate "
            "support (so many days allow moderate support at most)."
        ),
    ],
    "against": [
        (
            "The probability of having been there at the moment of the crime itself is 31 %, because "
            "only the window is known."
        ),
        "Tag: battery low at 02:36.",
    ],
}
