"""The forks of a nursery, as the one who asks for them sees them."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from app.failure import Failure

_START_S: Final = 600.0  # the first time, kernels are compiled
_FORK_S: Final = 30.0


class Fork:
    """A process; `code` is None as long as it runs, and what it ended with afterwards, the negative of a signal."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None
        self.ended = threading.Event()

    def send(self, sign: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sign)

    def kill(self) -> None:
        """End it at whatever it is doing, and wait until it has."""
        self.send(signal.SIGKILL)
        self.ended.wait()


class Nursery:
    """Asks for forks, and hears of their ends."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._began = queue.Queue[Fork | None]()
        self._forks = dict[int, Fork]()
        self._listener = threading.Thread(target=self._listen, name="nursery", daemon=True)
        self._listener.start()
        self._next(_START_S)

    def fork(self, point: str, nth: int, command: list[str], environment: Mapping[str, str], log: Path) -> Fork:
        """Have a trailmatch command run that kills itself at a point."""
        assert self._process.stdin is not None
        wanted = {"point": point, "nth": nth, "command": command, "environment": dict(environment), "log": str(log)}
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        fork = self._next(_FORK_S)
        assert fork is not None
        return fork

    def _next(self, patience_s: float) -> Fork | None:
        try:
            return self._began.get(timeout=patience_s)
        except queue.Empty:
            raise Failure(f"the processes' nursery said nothing for {patience_s:.0f} s") from None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told: dict[str, Any] = json.loads(line)
            if "ready" in told:
                self._began.put(None)
            elif "began" in told:
                fork = self._forks[told["began"]] = Fork(told["began"])
                self._began.put(fork)
            else:
                fork = self._forks.pop(told["ended"])
                fork.code = told["code"]
                fork.ended.set()


@contextlib.contextmanager
def nursery() -> Iterator[Nursery]:
    """Have a nursery for the block; it is ready when everything is compiled and loaded."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.chaos.nursery"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us; it ends when its stdin does
    ) as process:
        assert process.stdin is not None
        try:
            yield Nursery(process)
        finally:
            process.stdin.close()
