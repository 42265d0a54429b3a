"""How long is waited after an attempt that was not acknowledged. Pure, no database."""

from datetime import datetime, timedelta
from typing import NamedTuple

# The last for ever: nothing is given up, however long a receiver is down.
SCHEDULE = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
)
_NOT_NOW = {429, 503}


class Failed(NamedTuple):
    """How an attempt failed."""

    was_sent: bool  # the receiver may have seen it
    status: int | None = None
    retry_after_s: int | None = None  # as the receiver asked


class Next(NamedTuple):
    """When to go on: with the receiver, and with this delivery."""

    receiver_at: datetime
    delivery_at: datetime


def pause(failures: int, draw: float) -> timedelta:
    """Give the wait after so many failures in a row (from 1); `draw` from [0, 1) spreads it by 20 % either way."""
    return SCHEDULE[min(failures, len(SCHEDULE)) - 1] * (0.8 + 0.4 * draw)


def after_failure(now: datetime, failed: Failed, failures: int, attempts: int, draw: float) -> Next:
    """Say when to try again, after `failures` of the receiver in a row and `attempts` of this delivery, with this one.

    The receiver rests in any case. What it may have seen and did not acknowledge waits twice as long, so that after the
    rest another has its turn, and an event which breaks a receiver does not keep the others from it. What never
    reached the receiver stays first in the queue.
    """
    rest = max(pause(failures, draw), timedelta(seconds=min(failed.retry_after_s or 0, 3_600)))
    is_about_this = failed.was_sent and failed.status not in _NOT_NOW
    return Next(now + rest, now + 2 * max(rest, pause(attempts, draw)) if is_about_this else now)
