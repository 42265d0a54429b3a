"""What the API says about pings."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class PingError(BaseModel):
    """What is wrong with one field of one row."""

    line: int = Field(description="The row, from 1: element of the array, line of the NDJSON, row of the columns.")
    pointer: str = Field(description="JSON Pointer of the field within the row; empty for the row as a whole.")
    code: str
    message: str


class PingReceipt(BaseModel):
    """What became of each row. The counts add up to the rows sent; what is counted here is on disk."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "batch_id": 4711,
                "accepted": 998,
                "duplicates": 1,
                "conflicts": 0,
                "rejected": 1,
                "errors": [
                    {
                        "line": 417,
                        "pointer": "/lat",
                        "code": "out_of_range",
                        "message": "lat lies between -90 and 90.",
                    }
                ],
                "errors_omitted": 0,
                "ignored_fields": {"battery_pct": 1000},
                "ignored_fields_omitted": 0,
            }
        }
    )

    batch_id: int
    accepted: int = Field(description="New fixes.")
    duplicates: int = Field(description="Fixes known already, equal in every field.")
    conflicts: int = Field(
        description="Fixes that differ from a known one of the same device, time and source. All are kept; the "
        "smallest by (unknown accuracy last, accuracy, lon, lat, speed, direction) is the one that is used."
    )
    rejected: int = Field(description="Rows not acceptable; they are kept, see GET /v1/pings/rejected.")
    errors: list[PingError] = Field(description="Why, by line; the first 1,000.")
    errors_omitted: int = Field(description="How many more errors there are.")
    ignored_fields: dict[str, int] = Field(description="Fields that are none of a ping's: how many rows have them.")
    ignored_fields_omitted: int = Field(description="How many more such fields there are.")


class RejectedPing(BaseModel):
    """A row that was rejected, kept as it was sent."""

    reject_id: int
    batch_id: int
    rejected_at: datetime
    line: int
    pointer: str
    code: str
    message: str
    raw: Any


class RejectedPage(BaseModel):
    """Rejected rows that have not been accepted since, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "rejected": [
                    {
                        "reject_id": 12,
                        "batch_id": 4711,
                        "rejected_at": "2026-03-14T02:12:03.512Z",
                        "line": 417,
                        "pointer": "/lat",
                        "code": "out_of_range",
                        "message": "lat lies between -90 and 90.",
                        "raw": {"device_id": "T-1", "fixed_at": "2026-03-14T02:11:00Z", "lon": 1.0811, "lat": 512.787},
                    }
                ],
                "next": None,
            }
        }
    )

    rejected: list[RejectedPing]
    next: int | None = Field(description="Give it as `after` for the next page; null on the last one.")
