"""Endpoints for feeds that cannot be told how to send: each takes its own format, all go into the store of pings."""

import hashlib
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from app import metrics
from app.access.keys import requires
from app.access.viewer import Viewer
from app.errors import BadRecord
from app.feeds import owntracks, traccar
from app.feeds.message import Places, read_message, refuse_rejected
from app.pings.checks import time_bounds
from app.pings.store import Receipt
from app.pings.taking import refuse_others, take_delivery
from app.rows import decode_json, read_body
from app.settings import Settings

router = APIRouter(prefix="/v1/feeds", tags=["feeds"])

Writer = Annotated[Viewer, Depends(requires("pings:write"))]
PhoneWriter = Annotated[Viewer, Depends(requires("pings:write", takes_basic_json=True))]

# A message is one position; this leaves room for what servers add to it.
_MAX_BODY_BYTES = 256 * 1024


class FeedReceipt(BaseModel):
    """What became of one message: one of the counts is 1."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"accepted": 1, "duplicates": 0, "conflicts": 0, "ignored": 0}}
    )

    accepted: int = Field(description="A new fix.")
    duplicates: int = Field(description="A fix known already, equal in every field.")
    conflicts: int = Field(
        description="A fix that differs from a known one of the same device and time; both are kept."
    )
    ignored: int = Field(description="Not a new fix: the last known position again, or one that is not valid.")


def _body(example: object) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
        }
    }


@router.post("/traccar", openapi_extra=_body(traccar.EXAMPLE))
async def post_traccar(request: Request, viewer: Writer) -> FeedReceipt:
    """Store a position that a Traccar server forwards.

    In Traccar `forward.url` is this address, `forward.type` is `json`, `forward.header` is `Authorization: Bearer tm_…`
    and `forward.retry.enable` is true, so that nothing is lost while this service is away. The tag's serial is the
    device's `uniqueId`. A position that Traccar calls outdated or invalid is acknowledged, counted and not stored.
    """
    refuse_others(viewer)
    body = await read_body(request, _MAX_BODY_BYTES)
    message = _object(decode_json(body))
    if traccar.is_no_fix(message):
        metrics.PINGS.labels("ignored").inc()
        return FeedReceipt(accepted=0, duplicates=0, conflicts=0, ignored=1)
    receipt = await _store(request, viewer, body, message, traccar.PLACES)
    return FeedReceipt(accepted=receipt.accepted, duplicates=receipt.duplicates, conflicts=receipt.conflicts, ignored=0)


@router.post(
    "/owntracks",
    openapi_extra=_body(owntracks.EXAMPLE),
    responses={200: {"content": {"application/json": {"example": []}}}},
)
async def post_owntracks(request: Request, viewer: PhoneWriter) -> list[dict[str, Any]]:
    """Store a location that an OwnTracks client sends in HTTP mode, and answer with an empty array.

    That is what the clients expect: an array of messages for them, and there are none. The key goes into the client's
    password, with any user name. The tag's serial is the message's `topic`, or its `tid` without one. Messages of
    another `_type`, and empty ones, are acknowledged, counted and not stored; encrypted ones are refused, for they may
    be locations.
    """
    refuse_others(viewer)
    body = await read_body(request, _MAX_BODY_BYTES)
    message = _object(decode_json(body)) if body else {"_type": "nothing"}
    if message.get("_type") == "encrypted":
        raise BadRecord(
            "Encrypted messages cannot be read here; send them plain over TLS.",
            [{"line": 1, "pointer": "/_type", "code": "encrypted", "message": "this service has no key for it"}],
        )
    if "_type" not in message:
        raise BadRecord(
            "The message does not say what it is.",
            [{"line": 1, "pointer": "/_type", "code": "missing_field", "message": "this field is required"}],
        )
    if message["_type"] == "location":
        await _store(request, viewer, body, message, owntracks.places_of(message))
    else:
        metrics.PINGS.labels("ignored").inc()
    return []


def _object(decoded: object) -> dict[str, Any]:
    """Give the message back. Raises BadRecord if it is no object."""
    if not isinstance(decoded, dict):
        raise BadRecord(
            "A message is one JSON object.",
            [{"line": 1, "pointer": "", "code": "wrong_type", "message": "a message is a JSON object"}],
        )
    return decoded


async def _store(request: Request, viewer: Viewer, body: bytes, message: dict[str, Any], places: Places) -> Receipt:
    """Store a message's ping as a batch of one. Raises BadRecord if it is not acceptable; it is kept as rejected."""
    settings: Settings = request.app.state.settings
    now_us = time.time_ns() // 1_000
    bounds = time_bounds(now_us, settings.ping_retention_days)
    delivery = read_message(message, places, bounds, hashlib.sha256(body).digest())
    receipt = await take_delivery(request, viewer, delivery, now_us)
    refuse_rejected(delivery, places)
    return receipt
