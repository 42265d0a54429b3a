"""Devices on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict


class WornBy(BaseModel):
    """Who wears a tag now, and since when."""

    wearer_id: UUID
    reference: str
    since: datetime


class Device(BaseModel):
    """A tag."""

    device_id: str = Field(description="Its serial.")
    first_seen_at: datetime
    worn_by: WornBy | None = Field(description="Null if it is assigned to nobody now.")


EXAMPLE: JsonDict = {
    "device_id": "TAG-0042",
    "first_seen_at": "2026-02-20T14:31:07.120000Z",
    "worn_by": {
        "wearer_id": "0d3c8a52-5c0e-5b7e-8d7b-6a4f2f1e9c10",
        "reference": "W-7Q2M",
        "since": "2026-02-20T14:30:00Z",
    },
}


class DevicePage(BaseModel):
    """A page of devices in the order in which they were first heard of."""

    model_config = ConfigDict(json_schema_extra={"example": {"devices": [EXAMPLE], "next": None}})

    devices: list[Device]
    next: int | None
