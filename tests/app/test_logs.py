import json
import subprocess
import sys
from typing import Any

from app.logs import describe

# In a process of its own: logging is set up for the whole of one.
_BEGIN = "import logging, structlog, asyncpg; from app.logs import write_logs; write_logs()\n"


def _logged(script: str) -> list[dict[str, Any]]:
    run = subprocess.run([sys.executable, "-c", _BEGIN + script], capture_output=True, text=True, check=True)
    assert "secret" not in run.stderr
    return [json.loads(line) for line in run.stderr.splitlines()]


def test_ours_and_others_come_out_as_one_json_object_a_line() -> None:
    ours, others = _logged("""
structlog.get_logger("trailmatch.test").info("stored", rows=5)
logging.getLogger("uvicorn.error").info("started on %s", "port", extra={"color_message": "[1m"})
""")
    assert (ours["event"], ours["rows"], ours["logger"], ours["level"]) == ("stored", 5, "trailmatch.test", "info")
    assert (others["event"], others["logger"]) == ("started on port", "uvicorn.error")
    assert ours["timestamp"].endswith("Z")


def test_an_exception_is_told_without_its_words() -> None:
    told = _logged("""
try:
    try:
        raise asyncpg.UniqueViolationError("secret W-7Q2M")
    except asyncpg.UniqueViolationError as cause:
        raise ValueError("secret lat 51.5") from cause
except ValueError:
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application\\n")
    structlog.get_logger("trailmatch.test").exception("failed")
""")
    for line in told:
        error, cause = line["exception"]
        assert (error["type"], cause["type"]) == ("builtins.ValueError", "asyncpg.exceptions.UniqueViolationError")
        assert error["frames"] == ["<string>:7 <module>"]
        assert cause["sqlstate"] == "23505"


def test_only_the_first_line_of_what_asyncio_says_is_kept() -> None:
    [told] = _logged("""logging.getLogger("asyncio").error("Task exception was never retrieved\\nfuture: secret")""")
    assert told["event"] == "Task exception was never retrieved"


def test_a_line_that_cannot_be_written_is_not_shown_with_its_arguments() -> None:
    assert _logged("""logging.getLogger("asyncio").error("%d", "secret")""") == []


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert len(describe(first)) == 5
