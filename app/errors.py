"""What can go wrong, by name, and how it is said over HTTP: RFC 9457 problem documents from one table."""

import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException


class AppError(Exception):
    """Something a caller can be told about. `errors` names places in the body: line, pointer, code, message."""

    def __init__(self, detail: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors or []


class NotSignedIn(AppError):
    """No key, or one that is unknown, revoked or expired."""


class NotAllowed(AppError):
    """The key lacks the scope, or its organisation may not do this."""


class NotFound(AppError):
    """Nothing has this id, or the caller may not see it: the answer is the same."""


class BadBody(AppError):
    """The body cannot be decoded at all."""


class BadRequest(AppError):
    """A parameter of the address is not what it must be."""


class BadRecord(AppError):
    """The body decodes, but its one record is not acceptable."""


class TooLarge(AppError):
    """The body is over the limit, before or after decompression."""


class UnknownMediaType(AppError):
    """The content type or encoding is none that this endpoint reads."""


class Busy(AppError):
    """More work than can be taken now; the same request will do later."""


class DatabaseAway(AppError):
    """The database does not answer."""


STATUS: dict[type[AppError], HTTPStatus] = {
    BadBody: HTTPStatus.BAD_REQUEST,
    BadRequest: HTTPStatus.BAD_REQUEST,
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnknownMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    BadRecord: HTTPStatus.UNPROCESSABLE_ENTITY,
    Busy: HTTPStatus.TOO_MANY_REQUESTS,
    DatabaseAway: HTTPStatus.SERVICE_UNAVAILABLE,
}

HEADERS: dict[type[AppError], dict[str, str]] = {
    # Basic lets a browser ask for a key on the documentation page.
    NotSignedIn: {"WWW-Authenticate": 'Bearer realm="TrailMatch", Basic realm="TrailMatch: the key is the password"'},
    Busy: {"Retry-After": "2"},
    DatabaseAway: {"Retry-After": "5"},
}


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(OSError, _database_away)


def problem(
    status: HTTPStatus, title: str, detail: str, errors: list[dict[str, Any]] | None = None, **headers: str
) -> Response:
    """A problem document as a response."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": int(status), "detail": detail}
    if errors:
        body["errors"] = errors
    return Response(
        json.dumps(body, ensure_ascii=False), status, media_type="application/problem+json", headers=headers or None
    )


async def _app_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    kind = type(error)
    return problem(STATUS[kind], _title(kind), error.detail, error.errors, **HEADERS.get(kind, {}))


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        # The value itself is left out: it may be personal.
        {"pointer": "/" + "/".join(map(str, e["loc"][1:])), "in": e["loc"][0], "code": e["type"], "message": e["msg"]}
        for e in error.errors()
    ]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "Bad record", "The request is not what this endpoint takes.", errors)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return problem(status, status.phrase, str(error.detail), **(dict(error.headers or {})))


async def _database_away(_request: Request, error: Exception) -> Response:
    # asyncpg lets the socket's own error through when the server is gone.
    return await _app_error(_request, DatabaseAway("The database does not answer; nothing was stored. Send it again."))


def _title(kind: type[AppError]) -> str:
    words = "".join(" " + c.lower() if c.isupper() else c for c in kind.__name__).strip()
    return words.capitalize()
