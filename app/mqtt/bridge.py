"""From a broker to `POST /v1/pings`: a message is acknowledged once the service has said that its pings are stored."""

import asyncio
from typing import Any, Final

import httpx
import structlog

from app.failure import Failure
from app.mqtt.broker import IN_FLIGHT, Broker, Subscription
from app.mqtt.messages import lines_of
from app.mqtt.topic import Topic

_TIMEOUT_S: Final = 60.0
_LONGEST_PAUSE_S: Final = 30.0
_LATER: Final = frozenset({429, 500, 502, 503, 504})

log = structlog.get_logger("trailmatch.mqtt")


async def bridge(broker: Broker, topic: Topic, form: str, service: str, key: str) -> None:
    """Pass on messages until cancelled. Raises Failure if the broker or the service does not let us in.

    Nothing is dropped: while the service is away its messages stay with the broker, at most IN_FLIGHT of them here.
    """
    subscription = Subscription(broker, topic)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    async with httpx.AsyncClient(base_url=service, headers=headers, timeout=_TIMEOUT_S) as client:
        with subscription.open(broker):
            while True:
                messages = await subscription.take(IN_FLIGHT)
                lines = [line for each in messages for line in lines_of(each.payload, each.topic, topic, form)]
                if lines:
                    receipt = await _stored(client, b"\n".join(lines))
                    told = {name: receipt[name] for name in ("accepted", "duplicates", "conflicts", "rejected")}
                    log.info("passed on", messages=len(messages), **told)
                subscription.acknowledge(messages)


async def _stored(client: httpx.AsyncClient, body: bytes) -> dict[str, Any]:
    """Send until it is acknowledged. Raises Failure where sending again would not help."""
    pause_s = 0.5
    while True:
        try:
            answer = await client.post("/v1/pings", content=body)
        except httpx.TransportError as error:
            reason = type(error).__name__
        else:
            if answer.is_success:
                return dict(answer.json())
            if answer.status_code not in _LATER:
                raise Failure(f"the service refuses the pings ({answer.status_code}): {_detail(answer)}")
            reason = str(answer.status_code)
            pause_s = max(pause_s, _asked_s(answer))
        log.warning("the service did not take the pings; they are sent again", reason=reason, pause_s=pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _detail(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except ValueError:
        return "its answer is not ours; is --url the service?"
    return str(problem.get("detail") or problem.get("title")) if isinstance(problem, dict) else ""


def _asked_s(answer: httpx.Response) -> float:
    """How long the service asks us to wait."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_PAUSE_S) if asked.isdecimal() else 0.0
