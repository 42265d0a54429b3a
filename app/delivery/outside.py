"""What deliveries need of the world outside: time, addresses, certificates, the mail relay; tests pass their own."""

import random
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.delivery.addresses import Networks, Resolve, resolve
from app.delivery.signing import signing_key_of
from app.delivery.smtp import Relay, relay_of
from app.settings import Settings


def utc_now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)


class Outside(NamedTuple):
    """The world as deliveries see it."""

    clock: Callable[[], datetime]
    resolve: Resolve
    draw: Callable[[], float]  # from [0, 1)
    tls: ssl.SSLContext
    allowed: Networks  # private ones that webhooks may be sent to
    signing_key: bytes | None
    public_url: str  # of the service; "" if it is not known
    relay: Relay | None  # None: no mail is sent
    answer_s: float = 10.0  # how long an endpoint that was connected to has for the head of its answer
    keep_log: timedelta = timedelta(days=365)  # how long it is known what was delivered


def outside_of(settings: Settings) -> Outside:
    """The world as the settings describe it. Raises Failure if a key or certificate cannot be read."""
    tls = ssl.create_default_context()
    return Outside(
        clock=utc_now,
        resolve=resolve,
        draw=random.random,
        tls=tls,
        allowed=settings.webhook_networks,
        signing_key=signing_key_of(settings),
        public_url=settings.public_url,
        relay=relay_of(settings, tls),
        keep_log=timedelta(days=settings.delivery_log_days),
    )
