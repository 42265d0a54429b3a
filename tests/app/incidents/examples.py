"""An incident to post, and what the tests of this folder vary of it."""

from typing import Any


def an_incident(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A whole record; `from_` stands for `from`; a field that is None is left out."""
    body = {
        "force": "met",
        "reference": "01/1/26",
        "offence": "BIAD",
        "from": "2026-03-01T21:05:00Z",
        "to": "2026-03-01T22:40:00Z",
        "lon": -0.1278,
        "lat": 51.5074,
        **{name.removesuffix("_"): value for name, value in changed.items()},
    }
    return {name: value for name, value in body.items() if value is not None}
