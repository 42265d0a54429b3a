"""`python -m benchmarks chaos`: kill anything at any moment while clients send, and see what is lost or told twice."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.access.party import Party, found
from app.db import connect
from app.matching.canonical import read_canonical
from app.running import HOST
from benchmarks.chaos.callers import Callers
from benchmarks.chaos.databases import DISTURBED, Embedded, Served
from benchmarks.chaos.disturber import Disturber
from benchmarks.chaos.ending import Ending, read_ending
from benchmarks.chaos.forks import nursery
from benchmarks.chaos.plan import Plan, draw_plan
from benchmarks.chaos.receiver import Owner, Receivers
from benchmarks.machine import describe_machine
from benchmarks.parties import FORCE, Keys
from benchmarks.service_process import free_port, own_state_dir, prepare_database, serving

_console = Console(stderr=True)

Tell = Callable[[str, float], None]

_SERVICES: Final = 2
# For every process that is started: webhooks may go to this machine, and all sign alike.
_ENVIRONMENT: Final = {
    "TRAILMATCH_WEBHOOK_NETWORKS": f"{HOST}/32",
    "TRAILMATCH_SIGNING_KEY": "of a run in which nobody keeps secrets",
}


def chaos(
    *,
    seed: Annotated[int, typer.Option(help="Draws what is sent and what is killed when.")] = 1,
    minutes: Annotated[float, typer.Option(min=0.1, max=600, help="How long to disturb.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Kill services, workers, keeper and PostgreSQL at named points, cut connections, stop workers; then compare.

    Clients send pings, crimes, fittings, events and decisions meanwhile, and again what was not acknowledged; receivers
    of webhooks misbehave. Then everything that was acknowledged has to be in the database, every alert told once, every
    event at every receiver, of each alert in order, and matches and alerts equal to those of an undisturbed run in a
    second database. Exit 1 if not.

    With DATABASE_URL both databases are made on that server, and dropped at the end. It is not killed; its connections
    are cut.
    """
    machine, began_s = describe_machine(), time.perf_counter()
    with _progress() as tell:
        result = run(seed, minutes, tell)
    result |= {"seed": seed, "minutes": minutes, "seconds": round(time.perf_counter() - began_s, 1), **machine}
    typer.echo(json.dumps(result) if as_json else "\n".join(f"{name:22} {value}" for name, value in result.items()))
    faults = result["lost"] + result["repeated"] + result["disordered"]
    raise typer.Exit(0 if result["equal"] and not faults else 1)


class Disturbed(NamedTuple):
    """A run with kills."""

    disturber: Disturber
    callers: Callers
    receivers: Receivers
    ending: Ending


def run(seed: int, minutes: float, tell: Tell) -> dict[str, Any]:
    """Do it, and say what came of it."""
    plan = draw_plan(seed, minutes, datetime.now(UTC))
    url = os.environ.get("DATABASE_URL")
    with own_state_dir() as state_dir, _environment():
        database = Served(url) if url else Embedded(state_dir)
        try:
            disturbed = _disturbed(state_dir, database, plan, seed, minutes, tell)
            undisturbed = _undisturbed(state_dir, database, plan, tell)
        finally:
            database.stop()
    disturber, callers, receivers, ending = disturbed
    log = callers.log
    return {
        "kills": disturber.kills.total(),
        "restarts": disturber.restarts,
        "cuts": disturber.cuts,
        "hangs": disturber.hangs,
        "acknowledged": {
            "pings": len(log.pings),
            "incidents": len(log.incidents),
            "activations": len(log.activations),
            "events": len(log.events),
            "decisions": len(log.decisions),
            "stream": len(log.heard),
            "webhooks": receivers.answers["well"],
        },
        "matches": ending.matches,
        "alerts": ending.alerts,
        "lost": ending.lost.total(),
        "repeated": ending.repeated.total(),
        "disordered": ending.disordered + receivers.wrong_paths,
        "equal": ending.state == undisturbed,
        "webhooks_by_answer": dict(sorted(receivers.answers.items())),
        "kills_by_point": dict(sorted(disturber.kills.items())),
        **({"lost_by_kind": dict(+ending.lost)} if +ending.lost else {}),
        **({"repeated_by_kind": dict(+ending.repeated)} if +ending.repeated else {}),
        **({} if ending.state == undisturbed else {"differences": _differences(ending.state, undisturbed)}),
    }


@contextmanager
def _environment() -> Iterator[None]:
    """Set what every process that is started for the block finds in its environment."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, setting in before.items():
            if setting is None:
                del os.environ[name]
            else:
                os.environ[name] = setting


def _disturbed(
    state_dir: Path, database: Embedded | Served, plan: Plan, seed: int, minutes: float, tell: Tell
) -> Disturbed:
    url, seconds = database.create(DISTURBED), 60.0 * minutes
    keys, owner_key = asyncio.run(_prepare(url))
    ports = [free_port() for _ in range(_SERVICES)]
    commands = [["serve", "--host", HOST, "--port", str(port), "--no-matcher"] for port in ports]
    addresses = [f"http://{HOST}:{port}" for port in ports]
    callers = Callers(plan, addresses, keys, seconds, lambda part: tell("disturbing", part))
    receivers = Receivers(Random(f"{seed} receivers"))
    calling = _Calling(callers, receivers, Owner(addresses[0], owner_key, receivers))
    with nursery() as forks:
        disturber = Disturber(state_dir, database, forks, commands, url, Random(seed))
        calling.start()
        disturber.disturb(seconds, calling.raise_if_failed)
    with ExitStack() as services:
        for port in ports:
            services.enter_context(serving(state_dir, keys.force, url, port))
        calling.finish()
    ending = asyncio.run(_read(url, callers, receivers))
    return Disturbed(disturber, callers, receivers, ending)


class _Prepared(NamedTuple):
    """Keys to a database that is ready."""

    keys: Keys
    owner_key: str  # of the endpoints


async def _prepare(url: str) -> _Prepared:
    keys = await prepare_database(url)
    async with connect(url) as connection:
        return _Prepared(keys, await found(connection, Party(FORCE, "force", frozenset({"admin"})), "chaos"))


async def _read(url: str, callers: Callers, receivers: Receivers) -> Ending:
    async with connect(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return await read_ending(connection, callers.log, receivers.received)


class _Calling(threading.Thread):
    """Callers and receivers, in a thread of their own: PostgreSQL needs the main one."""

    def __init__(self, callers: Callers, receivers: Receivers, owner: Owner) -> None:
        super().__init__(name="callers", daemon=True)
        self._callers, self._receivers, self._owner = callers, receivers, owner
        self._is_peaceful = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._receive_and_call())
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._error = error

    async def _receive_and_call(self) -> None:
        async with self._receivers.listening():
            await self._owner.make_endpoints()
            await self._call()

    async def _call(self) -> None:
        callers, owner = self._callers, self._owner
        others = [asyncio.create_task(each) for each in (callers.decide(), owner.look_after(), callers.listen())]
        await callers.send_all()
        await asyncio.to_thread(self._is_peaceful.wait)
        others.pop(0).cancel()
        self._receivers.is_peaceful = True
        await callers.wait_until_idle()
        await self._wait_until_told()
        await owner.wait_until_delivered()
        for other in others:
            other.cancel()

    async def _wait_until_told(self) -> None:
        """Return when the stream has been quiet for a while."""
        heard, quiet_since_s = -1, time.monotonic()
        while time.monotonic() - quiet_since_s < 1.0:  # the last events are on their way
            if len(self._callers.log.heard) != heard:
                heard, quiet_since_s = len(self._callers.log.heard), time.monotonic()
            await asyncio.sleep(0.1)

    def raise_if_failed(self) -> None:
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Wait until all is sent, matched and heard."""
        self._is_peaceful.set()
        self.join()
        self.raise_if_failed()


def _undisturbed(state_dir: Path, database: Embedded | Served, plan: Plan, tell: Tell) -> bytes:
    """The state after the same plan in a second database, with one service that nobody disturbs."""
    url = database.create("undisturbed")
    keys = asyncio.run(prepare_database(url))
    with serving(state_dir, keys.force, url) as service:
        callers = Callers(plan, [service.address], keys, None, lambda part: tell("undisturbed", part))
        asyncio.run(_play(callers))
    return asyncio.run(_read_state(url))


async def _play(callers: Callers) -> None:
    await callers.send_all()
    await callers.wait_until_idle()


async def _read_state(url: str) -> bytes:
    async with connect(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return await read_canonical(connection)


def _differences(ours: bytes, true: bytes, examples: int = 3) -> dict[str, Any]:
    """How many records stand on one side only, and a few of them."""
    before, after = json.loads(true), json.loads(ours)
    return {
        f"{kind} {where}": {"records": len(only), "examples": only[:examples]}
        for kind in ("matches", "alerts")
        for where, only in (
            ("missing", [each for each in before[kind] if each not in after[kind]]),
            ("unknown", [each for each in after[kind] if each not in before[kind]]),
        )
    }


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar for how much has been sent, on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_console, disable=not _console.is_terminal) as progress:
        task = progress.add_task("starting", total=1.0)
        yield lambda doing, done: progress.update(task, description=doing, completed=done)
