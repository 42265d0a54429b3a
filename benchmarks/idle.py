"""Waiting until the matcher has nothing left to do."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from app.failure import Failure
from benchmarks.patient_client import PatientClient

_WAITING: Final = ("batches", "arrivals", "rejoins", "due", "undispatched")
_POLL_S: Final = 0.1
# Counting what waits takes the database 10 ms where that are tens of thousands of pairs.
_MANY, _POLL_OF_MANY_S = 5_000, 0.5
_STUCK_S: Final = 300.0  # so long without anything getting less, and the matcher is given up


async def wait_until_idle(
    client: PatientClient, tell: Callable[[float], None], kinds: tuple[str, ...] = _WAITING
) -> int:
    """Return when nothing waits to be matched or told; gives the batches that waited at first.

    With other `kinds` when nothing of these waits. `tell` hears how much of it is done, 0 to 1. Raises Failure if for
    five minutes nothing gets less.
    """
    matcher = await _ask(client)
    backlog = int(matcher["batches"])
    least = most = _count(matcher, kinds)
    since_s = time.monotonic()
    while waiting := _count(matcher, kinds):
        most = max(most, waiting)
        tell(1 - waiting / most)
        if waiting < least:
            least, since_s = waiting, time.monotonic()
        elif time.monotonic() - since_s > _STUCK_S:
            raise Failure(f"the matcher does not get on: {matcher}")
        await asyncio.sleep(_POLL_OF_MANY_S if waiting > _MANY else _POLL_S)
        matcher = await _ask(client)
    return backlog


async def _ask(client: PatientClient) -> dict[str, Any]:
    readiness: dict[str, Any] = await client.get("/health/readiness")
    matcher: dict[str, Any] = readiness["matcher"]
    return matcher


def _count(matcher: dict[str, Any], kinds: tuple[str, ...]) -> int:
    return sum(matcher[kind] for kind in kinds)
