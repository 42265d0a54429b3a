"""Structured logs: one JSON object a line on stderr, without personal data.

An exception's own words may quote a record (PostgreSQL's do), so a log gets its type, where it was raised, and what
PostgreSQL calls the kind of error; never the message.
"""

import logging
import sys
import traceback
from typing import Any

import asyncpg
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_FRAMES = 12
_CAUSES = 5


def write_logs(level: int = logging.INFO) -> None:
    """Let everything that this process logs from now on come out so: ours, uvicorn's and asyncio's."""
    shared: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_words,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _first_line],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    # A record that cannot be formatted would be shown with its arguments.
    logging.raiseExceptions = False
    logging.basicConfig(level=level, handlers=[handler], force=True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _without_words(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put what may be told of an exception in the place of the exception."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


def _first_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # asyncio puts the repr of a task, and with it of its exception, on the lines that follow.
    event["event"] = str(event["event"]).partition("\n")[0]
    event.pop("color_message", None)  # uvicorn's, the same with escape codes
    return event


def describe(error: BaseException) -> list[dict[str, Any]]:
    """Tell of an exception and of its causes, the last first: type, kind, frames; never its words."""
    told: list[dict[str, Any]] = []
    cause: BaseException | None = error
    while cause is not None and len(told) < _CAUSES:
        told.append(_describe_one(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return told


def _describe_one(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    told: dict[str, Any] = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, asyncpg.PostgresError):
        told["sqlstate"] = error.sqlstate
        told |= {name: value for name in ("table_name", "constraint_name") if (value := getattr(error, name, None))}
    return told
