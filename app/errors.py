"""What can go wrong, by name, and how it is said over HTTP: RFC 9457 problem documents from one table."""

# ruff: noqa: N818 - the names say what happened, in the words of the answer's title

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

log = structlog.get_logger("trailmatch.errors")


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


class Conflict(AppError):
    """The record stands in a way that does not allow this."""


class PreconditionFailed(AppError):
    """The record is not any more as the caller last saw it."""


class PreconditionRequired(AppError):
    """The caller has to say which state of the record it has seen."""


class TooLarge(AppError):
    """The body is over the limit, before or after decompression."""


class TooSlow(AppError):
    """The body did not arrive in time."""


class UnknownMediaType(AppError):
    """The content type or encoding is none that this endpoint reads."""


class Busy(AppError):
    """More work than can be taken now; the same request will do later."""


class DatabaseAway(AppError):
    """The database does not answer."""


class DatabaseFull(AppError):
    """The database has no room left, on its disk or in memory."""


STATUS: dict[type[AppError], HTTPStatus] = {
    BadBody: HTTPStatus.BAD_REQUEST,
    BadRequest: HTTPStatus.BAD_REQUEST,
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    TooSlow: HTTPStatus.REQUEST_TIMEOUT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnknownMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    BadRecord: HTTPStatus.UNPROCESSABLE_ENTITY,
    PreconditionRequired: HTTPStatus.PRECONDITION_REQUIRED,
    Busy: HTTPStatus.TOO_MANY_REQUESTS,
    DatabaseAway: HTTPStatus.SERVICE_UNAVAILABLE,
    DatabaseFull: HTTPStatus.SERVICE_UNAVAILABLE,
}

HEADERS: dict[type[AppError], list[tuple[str, str]]] = {
    NotSignedIn: [
        ("WWW-Authenticate", 'Bearer realm="TrailMatch"'),
        # Lets a browser ask for a key on the documentation page. Chromium sees a challenge only on a line of its own.
        ("WWW-Authenticate", 'Basic realm="TrailMatch: any name, the key as password", charset="UTF-8"'),
    ],
    Busy: [("Retry-After", "2")],
    DatabaseAway: [("Retry-After", "5")],
    DatabaseFull: [("Retry-After", "60")],
}

# What Starlette says of its own accord, in words.
_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method.",
}


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    for kind in _DATABASE_AWAY:
        app.add_exception_handler(kind, _database_away)
    for full in _DATABASE_FULL:
        app.add_exception_handler(full, _database_full)
    app.add_exception_handler(asyncpg.InterfaceError, _interface_error)
    app.add_exception_handler(Exception, _our_fault)


def problem(
    status: HTTPStatus,
    title: str,
    detail: str,
    errors: list[dict[str, Any]] | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Response:
    """A problem document as a response."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": int(status), "detail": detail}
    if errors:
        body["errors"] = errors
    response = Response(json.dumps(body, ensure_ascii=False), status, media_type="application/problem+json")
    for name, value in headers:
        response.headers.append(name, value)
    return response


async def _app_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    kind = type(error)
    return problem(STATUS[kind], _title(kind), error.detail, error.errors, HEADERS.get(kind, ()))


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        # The value itself is left out: it may be personal.
        {"pointer": "/" + "/".join(map(str, e["loc"][1:])), "in": e["loc"][0], "code": e["type"], "message": e["msg"]}
        for e in error.errors()
    ]
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "Bad record", "The request is not what this endpoint takes.", errors
    )


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = _DETAILS.get(status, str(error.detail)) if error.detail == status.phrase else str(error.detail)
    return problem(status, status.phrase.capitalize(), detail, headers=(error.headers or {}).items())


# How asyncpg says that the server is gone, going or full. It lets the socket's own error through.
_DATABASE_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)


async def _database_away(request: Request, _error: Exception) -> Response:
    # What was lost may be the answer to a commit, so this cannot say that nothing was stored.
    away = DatabaseAway("The database does not answer. Send the same again later: what is stored already is found so.")
    return await _app_error(request, away)


_DATABASE_FULL = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)


async def _database_full(request: Request, error: Exception) -> Response:
    # Which of the two is the operator's to know; whoever called can but wait.
    log.error("the database has no room left", error=type(error).__name__)
    full = DatabaseFull("The database has no room left; nothing of this was stored. Send the same again later.")
    return await _app_error(request, full)


async def _interface_error(request: Request, error: Exception) -> Response:
    # asyncpg has one class for a connection that was closed under us and for mistakes of ours.
    if "clos" in str(error):
        return await _database_away(request, error)
    raise error


async def _our_fault(_request: Request, _error: Exception) -> Response:
    # Starlette raises the error again after this answer, so that it is logged.
    detail = "The fault is ours, and it is logged. Whether anything was stored is not known; sending it again is safe."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error", detail)


def _title(kind: type[AppError]) -> str:
    words = "".join(" " + c.lower() if c.isupper() else c for c in kind.__name__).strip()
    return words.capitalize()
