"""Fields that the bodies of several nouns share: what people call things, and when something was."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

# 9999-12-31T23:59:59.999999Z is infinity to asyncpg, and nothing real lies near either bound.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def parse_instant(value: object) -> datetime:
    """Read RFC 3339 text with an offset, as UTC; digits past the microsecond are cut off.

    Raises PydanticCustomError with one of the codes wrong_type, invalid, time_without_zone and out_of_range.
    """
    if not isinstance(value, str):
        raise PydanticCustomError("wrong_type", "must be text such as 2026-03-01T21:05:00+00:00")
    shape = _RFC_3339.fullmatch(value)
    if shape is None:
        raise PydanticCustomError("invalid", "must be a time as in 2026-03-01T21:05:00+00:00 (RFC 3339)")
    if shape[2] is None:
        raise PydanticCustomError("time_without_zone", "must say its zone: add Z or an offset such as +01:00")
    try:
        instant = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("invalid", "is no time of any calendar day") from None
    if not EARLIEST <= instant < LATEST:
        raise PydanticCustomError("out_of_range", "must lie in the years 1970 to 2199")
    return instant


def refuse_control_characters(text: str) -> str:
    """Give the text back. Raises PydanticCustomError if a control character is in it, such as a line break."""
    # Ids are hashes of references put together with one of these (app/identity.py).
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise PydanticCustomError("invalid", "must not hold control characters")
    return text


def refuse_zero_byte(text: str) -> str:
    """Give the text back. Raises PydanticCustomError if it holds U+0000, which PostgreSQL cannot store."""
    if "\0" in text:
        raise PydanticCustomError("invalid", "must not hold the character U+0000")
    return text


Instant = Annotated[datetime, BeforeValidator(parse_instant)]
# What a record is called by whoever keeps it.
Reference = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(refuse_control_characters)]
OrganisationCode = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(refuse_control_characters)]
FreeText = Annotated[str, Field(max_length=10_000), AfterValidator(refuse_zero_byte)]
