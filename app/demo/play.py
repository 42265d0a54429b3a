"""Plays a scene through the public API, faster than life: what arrived first is sent first."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import numpy as np

from app.demo import messages
from app.demo.listener import Event, listening
from app.demo.parties import FORCE, PROBATION, Keys
from app.demo.scene import Scene
from app.demo.town import Floats
from app.failure import Failure

_DELIVERY_S = 900.0  # of the scene between two deliveries of the contractor
_PACE_S = 0.06  # between two deliveries when played
_LONGEST_S = 60.0  # a long scene is played faster instead
_MOST_ROWS = 5_000  # in one delivery
_RESENT_EVERY = 20  # deliveries: now and then an answer gets lost, and the contractor sends again
_IDLE_WITHIN_S = 120.0
_IDLE_POLL_S = 0.1
_HEARD_WITHIN_S = 5.0
_VERDICTS_ON = 60  # crimes: more would take longer than they tell
_WAITING = ("batches", "arrivals", "rejoins", "due", "undispatched")


class Counts(NamedTuple):
    """What the service said about the pings it was sent."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0

    def plus(self, sent: int, answer: dict[str, Any]) -> "Counts":
        """With one delivery more."""
        return Counts(self.sent + sent, *(getattr(self, name) + answer[name] for name in self._fields[1:]))


class Played(NamedTuple):
    """What was sent, what was answered and what was heard; moments are of time.perf_counter()."""

    pings: Counts
    fix_answered_s: Floats  # (N,) when each fix of the scene was acknowledged, the first time
    crime_answered_s: Floats  # (C,) when each crime was acknowledged
    fitting_answered_s: Floats  # (W,) when each wearer's activation was acknowledged
    events: list[Event]
    matches: list[dict[str, Any]]
    verdicts: Counter[str]  # on how many wearers each is said, of the first crimes
    alerts: list[dict[str, Any]]
    playing_s: float
    is_idle: bool  # False: the matcher had still work when we stopped waiting for it


async def play(scene: Scene, address: str, keys: Keys, tell: Callable[[float, int], None]) -> Played:
    """Send everything, wait until all of it is matched, and read back what was found.

    `tell` hears after each delivery where in the scene we are, in seconds after its midnight, and of how many alerts.
    Raises Failure for any answer but a good one.
    """
    try:
        async with (
            _client(address, keys.contractor) as contractor,
            _client(address, keys.force) as force,
            _client(address, keys.probation) as probation,
            listening(probation) as ear,
        ):
            player = _Player(scene, contractor, force)
            began_s = time.perf_counter()
            await player.deliver_all(lambda at_s: tell(at_s, ear.raised))
            playing_s = time.perf_counter() - began_s
            is_idle = await _until_idle(force)
            matches = await _read_all(probation, "matches", "/v1/matches?limit=1000")
            alerts = await _read_all(probation, "alerts", "/v1/alerts?limit=1000")
            verdicts = await _count_verdicts(force)
            await ear.wait_until_raised(len(alerts), _HEARD_WITHIN_S)
    except httpx.TransportError as error:
        raise Failure(f"the service does not answer: {error or type(error).__name__}") from error
    except httpx.HTTPStatusError as error:
        raise Failure(f"{error.request.method} {error.request.url.path}: {error.response.text}") from error
    return Played(
        player.pings,
        player.fix_answered_s,
        player.crime_answered_s,
        player.fitting_answered_s,
        ear.events,
        matches,
        verdicts,
        alerts,
        playing_s,
        is_idle,
    )


class _Player:
    def __init__(self, scene: Scene, contractor: httpx.AsyncClient, force: httpx.AsyncClient) -> None:
        self._scene, self._contractor, self._force = scene, contractor, force
        self._deliveries = 0
        self.pings = Counts()
        self.fix_answered_s: Floats = np.full(scene.fixes.wearer.size, np.nan)
        self.crime_answered_s: Floats = np.full(len(scene.crimes), np.nan)
        self.fitting_answered_s: Floats = np.full(len(scene.wearers), np.nan)

    async def deliver_all(self, tell: Callable[[float], None]) -> None:
        """What the tags reported before the crimes; then for each quarter of an hour its crimes, then its fixes."""
        scene = self._scene
        await _post(self._contractor, "/v1/wearers", messages.wearers(scene, FORCE, PROBATION))
        # One tag's fitting is only told when half of its pings are there: they wait for it.
        await self._fit(slice(0, -1))
        await self._deliver(0, int(np.searchsorted(scene.fixes.received_s, scene.crimes_from_s, "right")))
        await _until_idle(self._force)
        ends_s = np.arange(scene.crimes_from_s, scene.until_s, _DELIVERY_S) + _DELIVERY_S
        pace_s = min(_PACE_S, _LONGEST_S / ends_s.size)
        reported_s = np.array([crime.reported_s for crime in scene.crimes])
        next_at_s = time.perf_counter()
        for number, end_s in enumerate(ends_s.tolist()):
            if scene.mistake and any(end_s - _DELIVERY_S < at_s <= end_s for at_s in scene.mistake.mended_s):
                # In life there is an hour for what comes next to be told as news.
                await _until_idle(self._force)
            if number == ends_s.size // 2:
                await self._fit(slice(-1, None))
            await self._report(np.flatnonzero((reported_s <= end_s) & (reported_s > end_s - _DELIVERY_S)))
            await self._deliver(
                *np.searchsorted(scene.fixes.received_s, (end_s - _DELIVERY_S, end_s), "right").tolist()
            )
            tell(end_s)
            next_at_s += pace_s
            await asyncio.sleep(next_at_s - time.perf_counter())

    async def _fit(self, wearers: slice) -> None:
        await _post(self._contractor, "/v1/activations", messages.activations(self._scene)[wearers])
        self.fitting_answered_s[wearers] = time.perf_counter()

    async def _report(self, crimes: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> None:
        for number in crimes.tolist():
            await _post(self._force, "/v1/incidents", messages.incident(self._scene, self._scene.crimes[number], FORCE))
            self.crime_answered_s[number] = time.perf_counter()

    async def _deliver(self, first: int, last: int) -> None:
        for start in range(first, last, _MOST_ROWS):
            rows = slice(start, min(start + _MOST_ROWS, last))
            body = messages.pings(self._scene, rows)
            await self._send(rows, body)
            self.fix_answered_s[rows] = time.perf_counter()
            self._deliveries += 1
            if self._deliveries % _RESENT_EVERY == 0:
                await self._send(rows, body)

    async def _send(self, rows: slice, body: bytes) -> None:
        answer = await self._contractor.post("/v1/pings", content=body, headers={"Content-Type": messages.ARROW})
        answer.raise_for_status()
        self.pings = self.pings.plus(rows.stop - rows.start, answer.json())


def _client(address: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60.0)


async def _post(client: httpx.AsyncClient, path: str, records: object) -> None:
    """Post records that must all be taken. Raises Failure if one is not."""
    if not records:
        return
    answer = await client.post(path, json=records)
    answer.raise_for_status()
    if answer.json().get("rejected"):
        raise Failure(f"POST {path}: {answer.text}")


async def _until_idle(client: httpx.AsyncClient) -> bool:
    """Wait until nothing waits to be matched or told; False if that takes more than two minutes."""
    deadline_s = time.perf_counter() + _IDLE_WITHIN_S
    while time.perf_counter() < deadline_s:
        matcher = (await client.get("/health/readiness")).raise_for_status().json()["matcher"]
        if not any(matcher[kind] for kind in _WAITING):
            return True
        await asyncio.sleep(_IDLE_POLL_S)
    return False


async def _count_verdicts(client: httpx.AsyncClient) -> Counter[str]:
    """Count what is said of every wearer who could have been at one of the first crimes."""
    incidents = (await client.get(f"/v1/incidents?limit={_VERDICTS_ON}")).raise_for_status().json()["incidents"]
    verdicts = Counter[str]()
    for incident in incidents:
        wearers = await _read_all(client, "wearers", f"/v1/incidents/{incident['incident_id']}/wearers?limit=500")
        verdicts.update(each["verdict"] for each in wearers)
    return verdicts


async def _read_all(client: httpx.AsyncClient, noun: str, first_page: str) -> list[dict[str, Any]]:
    """Every record of a list, page by page as its Link header leads."""
    records = list[dict[str, Any]]()
    page: str | None = first_page
    while page is not None:
        answer = (await client.get(page)).raise_for_status()
        records += answer.json()[noun]
        page = answer.links.get("next", {}).get("url")
    return records
