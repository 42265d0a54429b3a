"""A device event on the wire: as a contractor posts it, what became of it, and as it is read."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.fields import FreeText, Instant, Reference
from app.revisions import Outcome
from app.rows import Record, RowError

Kind = Literal[
    "fitted",
    "removed",
    "strap_tamper",
    "case_tamper",
    "battery_low",
    "battery_flat",
    "charging_started",
    "charging_ended",
    "signal_lost",
    "signal_restored",
    "shielding_suspected",
]

POST_EXAMPLE: JsonDict = {
    "event_id": "E-90417",
    "revision": 1,
    "device_id": "TAG-0042",
    "kind": "battery_flat",
    "at": "2026-03-01T21:47:12+00:00",
    "detail": "0 %, last charged 2026-02-27",
}


class PostedDeviceEvent(Record):
    """Something that a tag noticed. What was sent stands; send a correction as a higher revision."""

    model_config = ConfigDict(json_schema_extra={"example": POST_EXAMPLE})

    event_id: Reference
    revision: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    device_id: Reference = Field(description="The tag's serial; one that is not known yet is made.")
    kind: Kind
    at: Instant
    detail: FreeText | None = Field(None, description="In the contractor's words.")
    void: bool = Field(default=False, description="This event never was.")


class StoredDeviceEvent(BaseModel):
    """What became of one posted revision."""

    line: int
    event_id: str
    revision: int
    outcome: Outcome


class DeviceEventReceipt(BaseModel):
    """What became of a post; `line` counts its rows from 1."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "stored": 1,
                "duplicates": 0,
                "rejected": 1,
                "events": [{"line": 1, "event_id": "E-90417", "revision": 1, "outcome": "stored"}],
                "errors": [
                    {
                        "line": 2,
                        "pointer": "/revision",
                        "code": "revision_conflict",
                        "message": "this revision was received before with another content",
                        "required_action": "Send the correction with a higher revision.",
                    }
                ],
                "ignored_fields": {},
            }
        }
    )

    stored: int
    duplicates: int
    rejected: int
    events: list[StoredDeviceEvent]
    errors: list[RowError]
    ignored_fields: dict[str, int] = Field(description="Fields that are none of an event's: how many rows have them.")


class DeviceEvent(BaseModel):
    """One revision as it was received."""

    event_id: str
    revision: int
    device_id: str
    kind: Kind
    at: datetime
    detail: str | None
    void: bool
    counts: bool = Field(description="False once a higher revision has come, and of one that takes the event back.")
    received_at: datetime


class DeviceEventPage(BaseModel):
    """A page of device events, every revision by itself, in the order in which they came."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "events": [
                    {**POST_EXAMPLE, "void": False, "counts": True, "received_at": "2026-03-01T21:47:15.204000Z"}
                ],
                "next": None,
            }
        }
    )

    events: list[DeviceEvent]
    next: int | None = Field(description="Give it as `after` for the next page; null on the last one.")
