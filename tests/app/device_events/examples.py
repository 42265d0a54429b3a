"""A device event and a fitting to post, and what the tests of this folder vary of them."""

from datetime import UTC, datetime
from typing import Any


def noon(day: int) -> datetime:
    return datetime(2026, 1, day, 12, tzinfo=UTC)


def an_event(day: int = 5, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A whole record, at noon of a day in January."""
    return {"event_id": "E1", "device_id": "TAG1", "kind": "strap_tamper", "at": noon(day).isoformat(), **changed}


def a_fitting(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """W1 wears TAG1 from the 1st until further notice."""
    return {
        "activation_id": "F1",
        "device_id": "TAG1",
        "wearer_reference": "W1",
        "fitted_at": noon(1).isoformat(),
        **changed,
    }
