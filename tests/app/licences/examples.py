"""A licence to post, and what the tests of this folder vary of it."""

from datetime import UTC, datetime
from typing import Any


def noon(day: int, month: int = 1) -> datetime:
    return datetime(2026, month, day, 12, tzinfo=UTC)


def a_licence(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A whole record: W1 is on licence from noon of the 3rd to noon of the 20th of January."""
    return {
        "licence_id": "L1",
        "wearer_reference": "W1",
        "from": noon(3).isoformat(),
        "to": noon(20).isoformat(),
        **changed,
    }
