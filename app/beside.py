"""A worker beside the service: a process that the service starts, asks and watches, and that ends with it.

The two speak over a pair of sockets. The worker says `warm` once its kernels are compiled; asked for `metrics`, it says
how many bytes they are, and then them. When either end is closed, that process has ended, however it did.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Literal

import structlog

from app.leashed import start_leashed

_COMMAND: Final = (sys.executable, "-m", "app", "worker")
_STDERR: Final = 2  # its log goes where ours does
_PATIENCE_S: Final = 10.0
_ANSWER_S: Final = 5.0
# One that ended is started again after so long; one that does not live long, after ever longer.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_LIVED_S: Final = 60.0
_WARM, _METRICS = b"warm\n", b"metrics"

log = structlog.get_logger("trailmatch.beside")


class Beside:
    """The worker as the service sees it: whether it can match yet, and what it measures."""

    def __init__(self, database_url: str) -> None:
        self._environment = {**os.environ, "DATABASE_URL": database_url}
        self._was_warm = self._is_warm = False
        self._writer: asyncio.StreamWriter | None = None
        self._answers = asyncio.Queue[bytes]()
        self._asking = asyncio.Lock()

    @property
    def state(self) -> Literal["starting", "warm", "restarting"]:
        """Say how it does: one that is started again has been warm before."""
        if self._is_warm:
            return "warm"
        return "restarting" if self._was_warm else "starting"

    async def metrics(self) -> bytes:
        """Give its metrics as Prometheus text; none of one that does not answer within five seconds."""
        async with self._asking:
            while not self._answers.empty():  # of a question that nobody waited for any more
                self._answers.get_nowait()
            if self._writer is None:
                return b""
            with contextlib.suppress(OSError, TimeoutError):
                self._writer.write(_METRICS + b"\n")
                async with asyncio.timeout(_ANSWER_S):
                    return await self._answers.get()
            return b""

    async def keep_running(self) -> None:
        """Start it, and again whenever it ends by itself, until cancelled; it is stopped then."""
        pause_s = _FIRST_PAUSE_S
        while True:
            started_s = time.monotonic()
            code = await self._run()
            if time.monotonic() - started_s > _LIVED_S:
                pause_s = _FIRST_PAUSE_S
            log.error("the matcher's process has ended; it is started again", exit_code=code, in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _run(self) -> int:
        ours, theirs = socket.socketpair()
        with theirs:
            process = start_leashed(
                [*_COMMAND, "--service-fd", str(theirs.fileno())],
                output=_STDERR,
                env=self._environment,
                pass_fds=[theirs.fileno()],
            )
        try:
            await self._listen(ours)
            return await asyncio.to_thread(process.wait)
        finally:
            self._is_warm, self._writer = False, None
            # Not awaited: whoever is cancelled might be again.
            _stop(process)

    async def _listen(self, ours: socket.socket) -> None:
        """Hear what it says until it has ended."""
        reader, writer = await asyncio.open_connection(sock=ours)
        self._writer = writer
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while line := await reader.readline():
                    if line == _WARM:
                        self._was_warm = self._is_warm = True
                    else:
                        self._answers.put_nowait(await reader.readexactly(int(line)))
        finally:
            writer.close()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:  # it compiles; what it had claimed comes back after its lease
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def running_beside(database_url: str) -> AsyncIterator[Beside]:
    """Run a worker beside us for the block, on the same database."""
    beside = Beside(database_url)
    task = asyncio.create_task(beside.keep_running(), name="the matcher's process")
    try:
        yield beside
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def answer_service(service: socket.socket, warm: asyncio.Event, measure: Callable[[], bytes]) -> None:
    """Be the worker's end: say when it is warm and what it measures; return when the service has ended."""
    reader, writer = await asyncio.open_connection(sock=service)
    saying = asyncio.create_task(_say_warm(writer, warm.wait))
    try:
        with contextlib.suppress(OSError):
            while await reader.readline():
                text = measure()
                writer.write(b"%d\n%b" % (len(text), text))
                await writer.drain()
    finally:
        saying.cancel()
        writer.close()


async def _say_warm(writer: asyncio.StreamWriter, is_warm: Callable[[], Awaitable[object]]) -> None:
    await is_warm()
    writer.write(_WARM)
