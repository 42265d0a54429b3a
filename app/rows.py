"""Bodies that hold one record or many: good rows go on, bad ones are named line by line."""

from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.errors import BadBody, BadRecord, TooLarge, UnknownMediaType

MAX_BODY_BYTES = 16 * 1024 * 1024

Record = TypeVar("Record", bound=BaseModel)


class RowError(BaseModel):
    """What is wrong with one row of a body, where, and what to do about it."""

    line: int
    pointer: str
    code: str
    message: str
    required_action: str | None = None


class Row(NamedTuple, Generic[Record]):
    """A record and the line it came from, counted from 1."""

    line: int
    record: Record


async def read_rows(request: Request, model: type[Record]) -> tuple[list[Row[Record]], list[RowError]]:
    """Read a JSON object or array of objects; the rows that fit the model, and what is wrong with the others.

    Raises UnknownMediaType, TooLarge or BadBody if there are no rows to speak of, and BadRecord if the body is one
    object and that is not acceptable.
    """
    decoded = decode_json(await read_body(request))
    if isinstance(decoded, list):
        return check_rows(decoded, model)
    rows, errors = check_rows([decoded], model)
    if errors:
        refuse_single(errors)
    return rows, errors


def refuse_single(errors: list[RowError]) -> None:
    """Refuse a body that was one record: with nothing else in it to store, its errors are the answer."""
    raise BadRecord("The record is not acceptable; nothing was stored.", [e.model_dump() for e in errors])


async def read_body(request: Request, limit_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Read a JSON body up to the limit. Raises UnknownMediaType or TooLarge."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnknownMediaType(f"This endpoint reads application/json, not {media_type}.")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnknownMediaType("This endpoint reads uncompressed bodies.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit_bytes:
            raise TooLarge(f"The body is over {limit_bytes:,} bytes; send it in smaller batches.")
    return bytes(body)


def decode_json(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds; the models check it
    """Decode JSON. Raises BadBody, saying where it stops being JSON."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise BadBody(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise BadBody("The body is nested too deeply.") from None


def check_rows(decoded: list[Any], model: type[Record]) -> tuple[list[Row[Record]], list[RowError]]:
    """Check rows against a model: the good ones, and every error of the others."""
    rows: list[Row[Record]] = []
    errors: list[RowError] = []
    for line, candidate in enumerate(decoded, start=1):
        try:
            rows.append(Row(line, model.model_validate(candidate)))
        except ValidationError as error:
            errors.extend(_row_errors(line, error))
    return rows, errors


def _row_errors(line: int, error: ValidationError) -> list[RowError]:
    return [
        RowError(
            line=line,
            pointer="/" + "/".join(map(str, each["loc"])) if each["loc"] else "",
            code=_CODES.get(each["type"], each["type"]),
            message=each["msg"].removeprefix("Value error, "),
        )
        # The value and pydantic's own pages are left out: values may be personal.
        for each in error.errors(include_input=False, include_url=False, include_context=False)
    ]


_CODES = {"missing": "missing_field", "value_error": "invalid", "timezone_aware": "time_without_zone"}
