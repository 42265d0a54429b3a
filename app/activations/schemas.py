"""A fitting on the wire: as a contractor posts it, what became of it, and as it is read."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.fields import Instant, Reference
from app.rows import Record, RowError

POST_EXAMPLE: JsonDict = {
    "activation_id": "F-00017",
    "revision": 1,
    "device_id": "TAG-0042",
    "wearer_reference": "W-7Q2M",
    "fitted_at": "2026-02-20T14:30:00+00:00",
    "removed_at": None,
}


class PostedActivation(Record):
    """A tag fitted to a person. What was sent stands; send a correction as a higher revision."""

    model_config = ConfigDict(json_schema_extra={"example": POST_EXAMPLE})

    activation_id: Reference
    revision: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    device_id: Reference = Field(description="The tag's serial; one that is not known yet is made.")
    wearer_reference: Reference = Field(description="The person's; one that is not known yet is made.")
    fitted_at: Instant
    removed_at: Instant | None = Field(None, description="Absent or null while the tag is worn.")
    void: bool = Field(default=False, description="This fitting never was.")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.removed_at is not None and self.removed_at < self.fitted_at:
            raise PydanticCustomError("ends_before_it_starts", "'removed_at' must not be before 'fitted_at'")
        return self


class StoredActivation(BaseModel):
    """What became of one posted revision."""

    line: int
    activation_id: str
    revision: int
    outcome: Literal["stored", "duplicate"]


class OverlapReport(BaseModel):
    """A fitting that claims to last beyond the next one of its tag; it counts up to there."""

    device_id: str
    activation_id: str
    revision: int
    stated_removed_at: datetime
    cut_at: datetime
    cut_by: str = Field(description="The next fitting's activation_id.")


class ActivationReceipt(BaseModel):
    """What became of a post; `line` counts its rows from 1."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "stored": 1,
                "duplicates": 0,
                "rejected": 0,
                "activations": [{"line": 1, "activation_id": "F-00017", "revision": 1, "outcome": "stored"}],
                "overlaps": [
                    {
                        "device_id": "TAG-0042",
                        "activation_id": "F-00009",
                        "revision": 1,
                        "stated_removed_at": "2026-02-21T09:00:00Z",
                        "cut_at": "2026-02-20T14:30:00Z",
                        "cut_by": "F-00017",
                    }
                ],
                "errors": [],
                "ignored_fields": {},
            }
        }
    )

    stored: int
    duplicates: int
    rejected: int
    activations: list[StoredActivation]
    overlaps: list[OverlapReport] = Field(description="Of every tag that this post was about, as things stand now.")
    errors: list[RowError]
    ignored_fields: dict[str, int] = Field(description="Fields that are none of a fitting's: how many rows have them.")


class ReceivedActivation(BaseModel):
    """One revision as it was received."""

    activation_id: str
    revision: int
    wearer_id: UUID
    wearer_reference: str
    fitted_at: datetime
    removed_at: datetime | None
    void: bool
    received_at: datetime


class EffectiveActivation(BaseModel):
    """A stretch in which one person wore a tag; `to` is null while it is worn."""

    device_id: str
    wearer_id: UUID
    wearer_reference: str
    from_at: datetime = Field(serialization_alias="from")
    to_at: datetime | None = Field(serialization_alias="to")
    activation_id: str
    revision: int
    is_cut_short: bool = Field(description="The next fitting came before the stated removal.")


RECEIVED_EXAMPLE: JsonDict = {
    "activation_id": "F-00017",
    "revision": 1,
    "wearer_id": "0d3c8a52-5c0e-5b7e-8d7b-6a4f2f1e9c10",
    "wearer_reference": "W-7Q2M",
    "fitted_at": "2026-02-20T14:30:00Z",
    "removed_at": None,
    "void": False,
    "received_at": "2026-02-20T14:35:02.417000Z",
}
EFFECTIVE_EXAMPLE: JsonDict = {
    "device_id": "TAG-0042",
    "wearer_id": "0d3c8a52-5c0e-5b7e-8d7b-6a4f2f1e9c10",
    "wearer_reference": "W-7Q2M",
    "from": "2026-02-20T14:30:00Z",
    "to": None,
    "activation_id": "F-00017",
    "revision": 1,
    "is_cut_short": False,
}


class DeviceActivations(BaseModel):
    """All that is known of who wore a tag."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"device_id": "TAG-0042", "received": [RECEIVED_EXAMPLE], "effective": [EFFECTIVE_EXAMPLE]}
        }
    )

    device_id: str
    received: list[ReceivedActivation]
    effective: list[EffectiveActivation]
