"""A message from a broker as lines of NDJSON for `POST /v1/pings`.

What is not understood goes on as it is, in a line of its own: the service rejects it, names the fault and keeps it.
Only what says itself that it is no position is left out.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from app.feeds import owntracks, traccar
from app.feeds.message import row_of
from app.mqtt.topic import Topic

Lines = list[bytes]

_encode: Final = msgspec.json.encode


def lines_of(payload: bytes, topic: str, pattern: Topic, form: str) -> Lines:
    """Give the pings of a message; none if it holds no position. form: one of FORMS."""
    if not payload.strip():
        return []  # how a retained message is taken back
    try:
        message = msgspec.json.decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        return [_as_it_is(payload)]
    return FORMS[form](message, payload, topic, pattern)


def _pings(message: object, payload: bytes, topic: str, pattern: Topic) -> Lines:
    rows = message if isinstance(message, list) else [message]
    device_id = pattern.device_id(topic)
    if device_id is None:
        return [_as_it_is(payload)] if not isinstance(message, list) else [_encode(row) for row in rows]
    # The broker knows who may write to which topic; what a message says of itself does not count beside it.
    return [_encode({**row, "device_id": device_id} if isinstance(row, dict) else row) for row in rows]


def _owntracks(message: object, payload: bytes, topic: str, pattern: Topic) -> Lines:
    if not isinstance(message, dict) or message.get("_type") in {"encrypted", None}:
        return [_as_it_is(payload)]
    if message["_type"] != "location":
        return []
    sent = {**message, "topic": pattern.device_id(topic) or topic}
    return [_encode(_known(row_of(sent, owntracks.places_of(sent))))]


def _traccar(message: object, payload: bytes, _topic: str, _pattern: Topic) -> Lines:
    if not isinstance(message, dict):
        return [_as_it_is(payload)]
    return [] if traccar.is_no_fix(message) else [_encode(_known(row_of(message, traccar.PLACES)))]


FORMS: Final[Mapping[str, Callable[[Any, bytes, str, Topic], Lines]]] = {
    "pings": _pings,
    "owntracks": _owntracks,
    "traccar": _traccar,
}


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _as_it_is(payload: bytes) -> bytes:
    """One line, whatever it holds: to JSON a line's end is a space, and what is no JSON stays none."""
    return payload.replace(b"\r", b" ").replace(b"\n", b" ")
