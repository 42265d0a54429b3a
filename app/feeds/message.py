"""A message of somebody else's format as one ping of ours: where its values are, and in which units."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from app.errors import BadRecord
from app.pings.checks import TimeBounds
from app.pings.delivery import Delivery, check_delivery
from app.pings.wire import from_rows


class Place(NamedTuple):
    """Where a message has a value, as names from the outside in, and how that becomes ours."""

    path: tuple[str, ...]
    convert: Callable[[Any], Any] = lambda value: value

    @property
    def pointer(self) -> str:
        """The same as a JSON pointer."""
        return "".join(f"/{name}" for name in self.path)


Places: TypeAlias = Mapping[str, Place]  # by the name of a ping's field on the wire


def times(factor: float) -> Callable[[Any], Any]:
    """Multiply a number; anything else stays what it is, for the checks to refuse."""

    def multiply(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        return value * factor if is_number(value) else value

    return multiply


def is_number(value: object) -> bool:
    """Say whether JSON would call it a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_message(message: Mapping[str, Any], places: Places, bounds: TimeBounds, content_sha256: bytes) -> Delivery:
    """Take a message for a body of one ping, and check it as any other."""
    return check_delivery(from_rows([row_of(message, places)]), bounds, content_sha256)


def row_of(message: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Give a message's values under the names of a ping's fields; None for those that it does not have."""
    return {name: place.convert(_value(message, place.path)) for name, place in places.items()}


def refuse_rejected(delivery: Delivery, places: Places) -> None:
    """Raise BadRecord, in the message's own names, if its ping is not acceptable."""
    if delivery.problems:
        errors = [{**problem._asdict(), "pointer": _pointer(problem.pointer, places)} for problem in delivery.problems]
        raise BadRecord("The position is not acceptable. It is kept, see GET /v1/pings/rejected.", errors)


def _value(message: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever JSON holds
    for name in path:
        message = message.get(name) if isinstance(message, dict) else None
    return message


def _pointer(of_ping: str, places: Places) -> str:
    # A ping without a time is told so at `fixed_at`, however the format writes it.
    name = of_ping.removeprefix("/")
    place = places.get(name) or (places.get("fixed_at_us") if name == "fixed_at" else None)
    return place.pointer if place else of_ping
