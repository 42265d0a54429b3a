"""`python -m benchmarks.chaos.nursery`: has everything loaded, and makes forks that become commands in no time.

A line of JSON on stdin asks for a fork that runs a trailmatch command and kills itself when it comes to a point for the
nth time. On stdout it says which process that is, and later how that ended. At the end of stdin its forks are killed.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

import app.main
import app.trails.sealing_progress
import app.worker  # noqa: F401 - as the two before: loaded here, so that no fork has to
from app.cli import main
from app.trails.reading import warm_up_packing
from benchmarks.chaos.points import POINTS, Point, When
from matcher.warm import warm_up

_ROUND_TRIPS = ("execute", "fetch", "fetchrow", "fetchval", "copy_from_query", "copy_to_table")

RoundTrip = Callable[..., Awaitable[Any]]


def keep() -> None:
    """Make forks until stdin ends."""
    forks = set[int]()

    def reap(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                forks.discard(pid)
                _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    signal.signal(signal.SIGCHLD, reap)
    _say({"ready": True})
    for line in sys.stdin:
        wanted = json.loads(line)
        # A fork that ended before it was told of would never be.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _become(wanted)
        forks.add(pid)
        _say({"began": pid})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    for pid in forks:
        os.kill(pid, signal.SIGKILL)


def _say(told: dict[str, Any]) -> None:
    # Past the buffer: the handler of a signal may come in the middle of a print.
    os.write(1, json.dumps(told).encode() + b"\n")


def _become(wanted: dict[str, Any]) -> None:
    """Run the command in this process, and end it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.setsid()
    log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream, target in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(target, stream)
    os.environ.update(wanted["environment"])
    fate = Fate(POINTS[wanted["point"]], wanted["nth"])
    for name in _ROUND_TRIPS:
        setattr(asyncpg.Connection, name, fate.watched(getattr(asyncpg.Connection, name)))
    sys.argv[1:] = wanted["command"]
    code: object = 1
    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        if isinstance(code, str):
            sys.stderr.write(code + "\n")
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


class Fate:
    """Counts how often a process comes to a point, and kills it.

    Only what goes over its connections is looked at, so nothing of the service knows of it.
    """

    def __init__(self, point: Point, nth: int) -> None:
        self._point, self._left = point, nth
        self._within = set[int]()  # connections in whose transaction the statement was carried out

    def watched(self, method: RoundTrip) -> RoundTrip:
        """Give a round trip of connections that looks at what it is asked to do."""

        async def run(connection: object, statement: str, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
            self._before(id(connection), statement)
            result = await method(connection, statement, *args, **kwargs)
            self._after(id(connection), statement, result)
            return result

        return run

    def _before(self, connection: int, statement: str) -> None:
        if statement == "COMMIT;" and connection in self._within:
            self._come_to(When.BEFORE_COMMIT)

    def _after(self, connection: int, statement: str, result: object) -> None:
        if statement == "COMMIT;" and connection in self._within:
            self._come_to(When.COMMITTED)
        if statement in {"COMMIT;", "ROLLBACK;"}:
            self._within.discard(connection)
        elif statement == self._point.statement and result:  # what found nothing to do has done nothing
            self._within.add(connection)
            self._come_to(When.AFTER)

    def _come_to(self, when: When) -> None:
        self._left -= when is self._point.when
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    warm_up()
    warm_up_packing()
    keep()
