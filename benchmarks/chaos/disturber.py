"""Starts service, workers and a keeper of trails, each with a point at which it is to die; disturbs the database.

Synchronous, for the main thread: the embedded PostgreSQL lives as long as the thread that started it.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from app.matching.lease import LEASE
from benchmarks.chaos.databases import Embedded, Served
from benchmarks.chaos.forks import Fork, Nursery
from benchmarks.chaos.plan import HOT_DAYS
from benchmarks.chaos.points import POINTS

# A process that has not come to its point in this time is killed wherever it is.
_PATIENCE_S: Final = (8.0, 16.0)
_NTH: Final = 6  # a point is reached up to so many times before it is the last
_BETWEEN_DATABASE_TROUBLES_S: Final = (10.0, 20.0)
_HANG_S: Final = LEASE.total_seconds() + 3.0
_LOOK_S: Final = 0.05
# The trails are days old, so every hour is closed; half of the days are old enough to be dropped.
_SETTINGS = {"TRAILMATCH_SEAL_AFTER_HOURS": "0", "TRAILMATCH_HOT_DAYS": str(HOT_DAYS)}


class Slot:
    """One of the processes: what it runs, and the point at which it is to die."""

    def __init__(self, kind: str, *command: str) -> None:
        self.kind, self.command = kind, list(command)
        self.point = ""
        self.fork: Fork | None = None
        self.hangs_until_s = 0.0
        self.deadline_s = 0.0


class Disturber:
    """Kills and starts again, and counts."""

    def __init__(
        self,
        state_dir: Path,
        database: Embedded | Served,
        nursery: Nursery,
        services: list[list[str]],
        database_url: str,
        draw: Random,
    ) -> None:
        self.kills = Counter[str]()
        self.restarts = self.cuts = self.hangs = 0
        self._state_dir, self._database, self._nursery, self._draw = state_dir, database, nursery, draw
        self._environment = {"DATABASE_URL": database_url, **_SETTINGS}
        self._slots = [
            *(Slot("service", *service) for service in services),
            Slot("worker", "worker"),
            Slot("worker", "worker"),
            Slot("keeper", "trails", "seal"),
        ]
        self._trouble_at_s = time.monotonic() + draw.uniform(*_BETWEEN_DATABASE_TROUBLES_S) / 2

    def disturb(self, seconds: float, go_on: Callable[[], None]) -> None:
        """Disturb for so long; `go_on` is called now and then and may raise."""
        end_s = time.monotonic() + seconds
        for slot in self._slots:
            self._start(slot)
        self._hang(next(slot for slot in self._slots if slot.kind == "worker"))
        while time.monotonic() < end_s:
            go_on()
            for slot in self._slots:
                self._look_after(slot)
            if time.monotonic() > self._trouble_at_s:
                self._trouble_the_database()
                self._trouble_at_s = time.monotonic() + self._draw.uniform(*_BETWEEN_DATABASE_TROUBLES_S)
            time.sleep(_LOOK_S)
        self._end_all()

    def _start(self, slot: Slot) -> None:
        """Start a process that is to die at the point that has seen the fewest deaths."""
        points = [name for name, point in POINTS.items() if point.process == slot.kind]
        others = {each.point for each in self._slots if each is not slot}
        free = [name for name in points if name not in others]
        fewest = min(self.kills[name] for name in free)
        point = self._draw.choice([name for name in free if self.kills[name] == fewest])
        log = self._state_dir / f"{slot.kind}.log"
        slot.point = point
        # A keeper has little to do, and ends.
        nth = 1 if slot.kind == "keeper" else self._draw.randint(1, _NTH)
        slot.fork = self._nursery.fork(point, nth, slot.command, self._environment, log)
        slot.deadline_s = time.monotonic() + self._draw.uniform(*_PATIENCE_S)

    def _look_after(self, slot: Slot) -> None:
        assert slot.fork is not None
        now_s = time.monotonic()
        if slot.hangs_until_s:
            if now_s < slot.hangs_until_s:
                return
            slot.hangs_until_s = 0.0
            slot.fork.send(signal.SIGCONT)
        if slot.fork.code is not None:
            if slot.fork.code == -signal.SIGKILL:
                self.kills[slot.point] += 1
            # Else a keeper that was done, or a process whose database was away for too long.
            self._start(slot)
        elif now_s > slot.deadline_s:
            slot.fork.kill()
            self.kills[f"{slot.kind}, anywhere"] += 1
            self._start(slot)

    def _trouble_the_database(self) -> None:
        trouble = self._draw.choice((*self._database.troubles, "hang"))
        if trouble == "hang":
            self._hang(self._draw.choice([slot for slot in self._slots if slot.kind == "worker"]))
        elif trouble == "cut" or isinstance(self._database, Served):
            self.cuts += self._database.cut()
        elif trouble == "killed":
            self._database.kill()
            self.kills["PostgreSQL"] += 1
            self.restarts += 1
        elif trouble == "a backend killed":
            self.kills["a backend of PostgreSQL"] += self._database.kill_a_backend(self._draw)
        else:
            self._database.restart()
            self.restarts += 1

    def _hang(self, slot: Slot) -> None:
        assert slot.fork is not None
        if not slot.hangs_until_s and slot.fork.code is None:
            slot.fork.send(signal.SIGSTOP)
            slot.hangs_until_s = slot.deadline_s = time.monotonic() + _HANG_S
            slot.deadline_s += _PATIENCE_S[0]
            self.hangs += 1

    def _end_all(self) -> None:
        for slot in self._slots:
            if slot.fork is not None:
                slot.fork.kill()
