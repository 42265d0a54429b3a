"""An incident on the wire: as a force posts it, what became of it, and as it is read."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.fields import FreeText, Instant, OrganisationCode, Reference
from app.rows import Record, RowError

Offence = Literal["RB", "BIAD", "AB", "BOTD", "TOMV", "TFP", "TFMV", "OTHER"]

POST_EXAMPLE: JsonDict = {
    "force": "metropolitan",
    "reference": "01/234567/26",
    "offence": "BIAD",
    "from": "2026-03-01T21:05:00+00:00",
    "to": "2026-03-01T22:40:00+00:00",
    "lon": -0.12776,
    "lat": 51.50735,
    "position_r95_m": 20.0,
    "text": "Rear door forced",
}


class PostedIncident(Record):
    """A reported crime as its force knows it now; what is posted later under the same reference amends it."""

    model_config = ConfigDict(json_schema_extra={"example": POST_EXAMPLE})

    force: OrganisationCode
    reference: Reference
    offence: Offence = "OTHER"
    from_at: Instant = Field(alias="from", description="When it can have happened, at the earliest.")
    to_at: Instant = Field(alias="to", description="When it can have happened, at the latest.")
    lon: Annotated[float, Field(ge=-180, le=180)] | None = Field(None, description="WGS84 degrees, with lat.")
    lat: Annotated[float, Field(ge=-85, le=85)] | None = Field(None, description="WGS84 degrees, with lon.")
    easting: Annotated[float, Field(ge=0, le=700_000)] | None = Field(
        None, description="Metres on the British National Grid, with northing, in place of lon and lat."
    )
    northing: Annotated[float, Field(ge=0, le=1_300_000)] | None = Field(None, description="As easting.")
    position_r95_m: Annotated[float, Field(ge=0, le=100_000)] | None = Field(
        None, description="Radius about the position that holds the true place 95 times in 100; absent: unknown."
    )
    text: FreeText | None = None
    profile: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Name of the settings to match by; absent: as before, or the service's default."
    )
    withdrawn: bool = Field(default=False, description="The record was made in error, or there was no crime.")

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if self.to_at < self.from_at:
            raise PydanticCustomError("ends_before_it_starts", "'to' must not be before 'from'")
        return self

    @model_validator(mode="after")
    def _check_position(self) -> Self:
        degrees, grid = (self.lon, self.lat), (self.easting, self.northing)
        if degrees == grid == (None, None):
            raise PydanticCustomError("missing_field", "give a position: lon and lat, or easting and northing")
        if degrees != (None, None) and grid != (None, None):
            raise PydanticCustomError("invalid", "give one position: lon and lat, or easting and northing, not both")
        if (self.lon is None) != (self.lat is None) or (self.easting is None) != (self.northing is None):
            raise PydanticCustomError(
                "missing_field", "a position has two members: lon and lat, or easting and northing"
            )
        return self


class StoredIncident(BaseModel):
    """What became of one posted incident."""

    line: int
    incident_id: UUID
    force: str
    reference: str
    version: int
    outcome: Literal["created", "amended", "unchanged"]
    changed: list[str] = Field(description="What differs from the version before; empty for the first.")


class IncidentReceipt(BaseModel):
    """What became of a post; `line` counts its rows from 1."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "created": 0,
                "amended": 1,
                "unchanged": 0,
                "rejected": 1,
                "incidents": [
                    {
                        "line": 1,
                        "incident_id": "7d0b9a3e-2f0e-5f3e-9d0e-0f5d3c2b1a00",
                        "force": "metropolitan",
                        "reference": "01/234567/26",
                        "version": 2,
                        "outcome": "amended",
                        "changed": ["to"],
                    }
                ],
                "errors": [
                    {
                        "line": 2,
                        "pointer": "/force",
                        "code": "wrong_force",
                        "message": "this key belongs to metropolitan",
                        "required_action": "Send it with a key of that force.",
                    }
                ],
                "ignored_fields": {},
            }
        }
    )

    created: int
    amended: int
    unchanged: int
    rejected: int
    incidents: list[StoredIncident]
    errors: list[RowError]
    ignored_fields: dict[str, int] = Field(
        description="Fields that are none of an incident's: how many rows have them."
    )


class Profile(BaseModel):
    """Settings of a match, by name and version."""

    name: str
    version: int


class IncidentVersion(BaseModel):
    """One state of an incident's record."""

    version: int
    offence: Offence
    from_at: datetime = Field(serialization_alias="from")
    to_at: datetime = Field(serialization_alias="to")
    lon: float
    lat: float
    easting: float | None = Field(description="As delivered; null if the position came in degrees.")
    northing: float | None
    position_r95_m: float | None
    text: str | None = Field(description="Only for the force whose incident it is.")
    withdrawn: bool
    changed: list[str]
    profile: Profile
    received_at: datetime


NAME_EXAMPLE: JsonDict = {
    "incident_id": "7d0b9a3e-2f0e-5f3e-9d0e-0f5d3c2b1a00",
    "force": "metropolitan",
    "reference": "01/234567/26",
}
VERSION_EXAMPLE: JsonDict = {
    "version": 1,
    "offence": "BIAD",
    "from": "2026-03-01T21:05:00Z",
    "to": "2026-03-01T22:40:00Z",
    "lon": -0.12776,
    "lat": 51.50735,
    "easting": None,
    "northing": None,
    "position_r95_m": 20.0,
    "text": "Rear door forced",
    "withdrawn": False,
    "changed": [],
    "profile": {"name": "standard", "version": 1},
    "received_at": "2026-03-02T08:11:43.250000Z",
}


class Incident(BaseModel):
    """An incident in its latest version."""

    incident_id: UUID
    force: str
    reference: str
    latest: IncidentVersion


class IncidentPage(BaseModel):
    """A page of incidents in the order in which they were first reported."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"incidents": [{**NAME_EXAMPLE, "latest": VERSION_EXAMPLE}], "next": None}}
    )

    incidents: list[Incident]
    next: int | None


class IncidentHistory(BaseModel):
    """An incident in all its versions, the oldest first."""

    model_config = ConfigDict(json_schema_extra={"example": {**NAME_EXAMPLE, "versions": [VERSION_EXAMPLE]}})

    incident_id: UUID
    force: str
    reference: str
    versions: list[IncidentVersion]
