"""Who manages whom, on the wire."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.accounts.schemas import Email
from app.fields import Instant, Reference
from app.rows import Record, RowError

POST_EXAMPLE: JsonDict = {
    "email": "r.okafor@probation.example",
    "wearer_reference": "W-7Q2M",
    "from": "2026-02-20T09:00:00+00:00",
    "to": None,
}


class PostedCaseload(Record):
    """A person who manages a wearer, from-to. Posted again with another `to`, it ends then."""

    model_config = ConfigDict(json_schema_extra={"example": POST_EXAMPLE})

    email: Email = Field(description="Of an account of your organisation.")
    wearer_reference: Reference = Field(description="Of a wearer whom your organisation manages.")
    from_at: Instant = Field(alias="from", description="With account and wearer, what the entry is known by.")
    to_at: Instant | None = Field(None, alias="to", description="Absent or null while it lasts.")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.to_at is not None and self.to_at <= self.from_at:
            raise PydanticCustomError("ends_before_it_starts", "'to' must be after 'from'")
        return self


class StoredCaseload(BaseModel):
    """What became of one posted entry."""

    line: int
    outcome: Literal["created", "updated", "unchanged"]


class CaseloadReceipt(BaseModel):
    """What became of a post; `line` counts its rows from 1."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "created": 1,
                "updated": 0,
                "unchanged": 0,
                "rejected": 0,
                "caseloads": [{"line": 1, "outcome": "created"}],
                "errors": [],
                "ignored_fields": {},
            }
        }
    )

    created: int
    updated: int
    unchanged: int
    rejected: int
    caseloads: list[StoredCaseload]
    errors: list[RowError]
    ignored_fields: dict[str, int] = Field(description="Fields that are none of an entry's: how many rows have them.")


class Caseload(BaseModel):
    """A person who manages a wearer, from-to."""

    email: str
    name: str
    wearer_id: UUID
    wearer_reference: str
    from_at: datetime = Field(serialization_alias="from")
    to_at: datetime | None = Field(serialization_alias="to")


class CaseloadPage(BaseModel):
    """A page of entries, in the order in which they were made."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "caseloads": [
                    {
                        **POST_EXAMPLE,
                        "name": "R. Okafor",
                        "wearer_id": "0d3c8a52-5c0e-5b7e-8d7b-6a4f2f1e9c10",
                        "from": "2026-02-20T09:00:00Z",
                    }
                ],
                "next": None,
            }
        }
    )

    caseloads: list[Caseload]
    next: int | None = Field(description="Give it as `after` for the next page; null on the last one.")
