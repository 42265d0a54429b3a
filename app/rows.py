"""Bodies that hold one record or many: good rows go on, bad ones are named line by line."""

from collections import Counter
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from app.errors import BadBody, BadRecord, TooLarge, UnknownMediaType

MAX_BODY_BYTES = 16 * 1024 * 1024


class Record(BaseModel):
    """A record as a caller sends it: types as JSON has them, no text for numbers; other fields are let pass."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


AnyRecord = TypeVar("AnyRecord", bound=Record)


class RowError(BaseModel):
    """What is wrong with one row of a body, where, and what to do about it."""

    line: int
    pointer: str
    code: str
    message: str
    required_action: str | None = None


class Row(NamedTuple, Generic[AnyRecord]):
    """A record and the line it came from, counted from 1."""

    line: int
    record: AnyRecord


class Rows(NamedTuple, Generic[AnyRecord]):
    """What a body holds: the rows that fit, what is wrong with the others, and fields that nobody asked for."""

    good: list[Row[AnyRecord]]
    errors: list[RowError]
    ignored: dict[str, int]  # in how many rows
    is_single: bool  # one object, and not an array of one


async def read_rows(request: Request, model: type[AnyRecord]) -> Rows[AnyRecord]:
    """Read a JSON object or array of objects.

    Raises UnknownMediaType, TooLarge or BadBody if there are no rows to speak of, and BadRecord if the body is one
    object and that is not acceptable.
    """
    decoded = decode_json(await read_body(request))
    is_single = not isinstance(decoded, list)
    rows = check_rows([decoded] if is_single else decoded, model, is_single=is_single)
    refuse_single(rows, rows.errors)
    return rows


async def read_record(request: Request, model: type[AnyRecord]) -> AnyRecord:
    """Read one JSON object. Raises as `read_rows` does."""
    rows = check_rows([decode_json(await read_body(request))], model, is_single=True)
    refuse_single(rows, rows.errors)
    return rows.good[0].record


def record_body_of(model: type[Record]) -> dict[str, Any]:
    """Describe a body that `read_record` reads, as `body_of` does."""
    schema = model.model_json_schema()
    content = {"schema": schema, "example": schema.pop("example")}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def body_of(model: type[Record]) -> dict[str, Any]:
    """Describe a body that `read_rows` reads, for the API's description; the body itself is read from the request."""
    one = model.model_json_schema()
    example = one.pop("example")
    many = {"type": "array", "items": one}
    content = {
        "schema": {"oneOf": [one, many]},
        "examples": {"one": {"value": example}, "many": {"value": [example]}},
    }
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def refuse_single(rows: Rows[AnyRecord], errors: list[RowError]) -> None:
    """Raise BadRecord if the body was one record and that has errors: with nothing else in it, they are the answer."""
    if rows.is_single and errors:
        raise BadRecord("The record is not acceptable; nothing was stored.", [e.model_dump() for e in errors])


async def read_body(
    request: Request, limit_bytes: int = MAX_BODY_BYTES, *, media_type: str = "application/json"
) -> bytes:
    """Read a body of one media type up to the limit. Raises UnknownMediaType or TooLarge."""
    sent = request.headers.get("content-type", media_type).partition(";")[0].strip().lower()
    if sent != media_type:
        raise UnknownMediaType(f"This endpoint reads {media_type}, not {sent}.")
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


def check_rows(candidates: list[Any], model: type[AnyRecord], *, is_single: bool = False) -> Rows[AnyRecord]:
    """Check rows against a model: the good ones, and every error of the others."""
    good: list[Row[AnyRecord]] = []
    errors: list[RowError] = []
    known = {field.alias or name for name, field in model.model_fields.items()}
    ignored: Counter[str] = Counter()
    for line, candidate in enumerate(candidates, start=1):
        try:
            good.append(Row(line, model.model_validate(candidate)))
            ignored.update(name for name in candidate if name not in known)
        except ValidationError as error:
            errors.extend(_row_errors(line, error))
    return Rows(good, errors, dict(ignored), is_single)


def _row_errors(line: int, error: ValidationError) -> list[RowError]:
    return [
        RowError(
            line=line,
            pointer="".join(f"/{part}" for part in each["loc"]),
            code=_CODES.get(each["type"], each["type"]),
            message=_MESSAGES.get(each["type"], each["msg"].removeprefix("Value error, ")),
        )
        # The value and pydantic's own pages are left out: values may be personal.
        for each in error.errors(include_input=False, include_url=False, include_context=False)
    ]


_MESSAGES = {"missing": "this field is required", "model_type": "a record is a JSON object"}

# The API's codes for pydantic's.
_CODES = {
    "missing": "missing_field",
    "value_error": "invalid",
    "literal_error": "unknown_value",
    "string_pattern_mismatch": "invalid",
    **dict.fromkeys(
        ("string_type", "float_type", "int_type", "bool_type", "dict_type", "model_type", "model_attributes_type"),
        "wrong_type",
    ),
    **dict.fromkeys(
        (
            "greater_than_equal",
            "less_than_equal",
            "finite_number",
            "string_too_short",
            "string_too_long",
            "int_parsing_size",
        ),
        "out_of_range",
    ),
}
