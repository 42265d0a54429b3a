"""When people want to be told, and what a force calls urgent, on the wire."""

from datetime import time
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.rows import Record


def parse_clock(value: object) -> time | None:
    """Read a time of day as in 07:30. Raises PydanticCustomError with wrong_type or invalid."""
    if value is None or isinstance(value, time):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("wrong_type", "must be text such as 07:30")
    try:
        clock = time.fromisoformat(value)
    except ValueError:
        clock = None
    if clock is None or clock.tzinfo is not None or clock.second or clock.microsecond:
        raise PydanticCustomError("invalid", "must be a time of day as in 07:30")
    return clock


Clock = Annotated[time, BeforeValidator(parse_clock), PlainSerializer(lambda clock: f"{clock:%H:%M}", return_type=str)]

PREFERENCE_EXAMPLE: JsonDict = {
    "by_email": True,
    "quiet_from": "19:00",
    "quiet_to": "07:30",
    "digest_at": ["08:00", "13:00"],
    "urgent_at_once": True,
}


class Preference(Record):
    """When a person wants to be told; times of day are those of a clock in London."""

    model_config = ConfigDict(json_schema_extra={"example": PREFERENCE_EXAMPLE})

    by_email: bool = True
    quiet_from: Clock | None = Field(
        None, description="With quiet_to: nothing is sent between them, over midnight too."
    )
    quiet_to: Clock | None = None
    digest_at: list[Clock] = Field(
        [], max_length=24, description="What has happened is told together at these times; empty: each by itself."
    )
    urgent_at_once: bool = Field(
        True, description="Whether what is urgent waits neither for a digest nor for quiet_to."
    )

    @model_validator(mode="after")
    def _check_quiet(self) -> Self:
        if (self.quiet_from is None) != (self.quiet_to is None):
            raise PydanticCustomError("missing_field", "send 'quiet_from' and 'quiet_to', or neither")
        if self.quiet_from is not None and self.quiet_from == self.quiet_to:
            raise PydanticCustomError("invalid", "'quiet_from' and 'quiet_to' are the same; for no mail set 'by_email'")
        return self


Offence = Literal["RB", "BIAD", "AB", "BOTD", "TOMV", "TFP", "TFMV", "OTHER"]


class RoutingRule(Record):
    """What a force asks for when one of its incidents leads to an alert."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"escalate_after_s": 3600, "urgent_offences": ["RB", "AB"]}}
    )

    escalate_after_s: Annotated[int, Field(ge=60, le=30 * 86_400)] | None = Field(
        description="How long an alert may lie before somebody has looked at it; null: for ever."
    )
    urgent_offences: list[Offence] = Field(
        description="An alert within two hours of the end of such an incident is told at once."
    )
