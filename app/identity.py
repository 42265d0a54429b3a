"""Ids that anybody can compute again: UUIDv5 of what a record is known by."""

from uuid import UUID, uuid5

# Drawn once at random; every id below depends on it, so it never changes.
NAMESPACE = UUID("5f2b1c36-8f0e-4c39-9a57-0d6a3d5b7e21")
# Crockford's base 32: no I, L, O, U, so a number read aloud is not misheard.
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def wearer_id(reference: str) -> UUID:
    """Id of the wearer with this pseudonymous reference."""
    return _id("wearer", reference)


def incident_id(force: str, reference: str) -> UUID:
    """Id of a force's incident."""
    return _id("incident", force, reference)


def match_id(force: str, reference: str, wearer_reference: str) -> UUID:
    """Id of the one match that an incident and a wearer can have."""
    return _id("match", force, reference, wearer_reference)


def alert_id(force: str, reference: str, wearer_reference: str) -> UUID:
    """Id of the one alert that an incident and a wearer can have."""
    return _id("alert", force, reference, wearer_reference)


def alert_number(alert: UUID) -> str:
    """What people call an alert: `A-` and eight Crockford base 32 signs of its id's first 40 bits."""
    bits = alert.int >> 88
    return "A-" + "".join(_CROCKFORD[(bits >> shift) & 31] for shift in range(35, -1, -5))


def ids_of_alert_number(number: str) -> tuple[UUID, UUID] | None:
    """Give the least and the greatest id that people call so, in either case of letters; None if it is no number."""
    signs = number.upper().removeprefix("A-")
    if len(number) != 10 or len(signs) != 8 or any(sign not in _CROCKFORD for sign in signs):
        return None
    bits = 0
    for sign in signs:
        bits = bits << 5 | _CROCKFORD.index(sign)
    return UUID(int=bits << 88), UUID(int=(bits + 1 << 88) - 1)


def _id(kind: str, *parts: str) -> UUID:
    # The unit separator is refused in references, so no two lists of parts give one text.
    return uuid5(NAMESPACE, "\x1f".join((kind, *parts)))
