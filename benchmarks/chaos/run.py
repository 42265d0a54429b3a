"""`python -m benchmarks chaos`: kill anything at any moment while clients send, and see what is lost or told twice."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.db import connect
from app.matching.canonical import read_canonical
from app.running import HOST
from benchmarks.chaos.callers import Callers
from benchmarks.chaos.disturber import Database, Disturber
from benchmarks.chaos.ending import Ending, read_ending
from benchmarks.chaos.forks import nursery
from benchmarks.chaos.plan import Plan, draw_plan
from benchmarks.machine import describe_machine
from benchmarks.service_process import free_port, own_state_dir, prepare_database, serving

_console = Console(stderr=True)

Tell = Callable[[str, float], None]


def chaos(
    *,
    seed: Annotated[int, typer.Option(help="Draws what is sent and what is killed when.")] = 1,
    minutes: Annotated[float, typer.Option(min=0.1, max=600, help="How long to disturb.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Kill service, workers, keeper and PostgreSQL at named points, cut connections, stop workers; then compare.

    Clients send pings, crimes, fittings, events and decisions meanwhile, and again what was not acknowledged. Then
    everything that was acknowledged has to be in the database, every alert told once, and matches and alerts equal to
    those of an undisturbed run in a second database. Exit 1 if not.
    """
    machine, began_s = describe_machine(), time.perf_counter()
    with _progress() as tell:
        result = run(seed, minutes, tell)
    result |= {"seed": seed, "minutes": minutes, "seconds": round(time.perf_counter() - began_s, 1), **machine}
    typer.echo(json.dumps(result) if as_json else "\n".join(f"{name:22} {value}" for name, value in result.items()))
    raise typer.Exit(0 if result["equal"] and not result["lost"] and not result["repeated"] else 1)


class Disturbed(NamedTuple):
    """A run with kills."""

    disturber: Disturber
    callers: Callers
    ending: Ending


def run(seed: int, minutes: float, tell: Tell) -> dict[str, Any]:
    """Do it, and say what came of it."""
    plan = draw_plan(seed, minutes, datetime.now(UTC))
    with own_state_dir() as state_dir:
        database = Database(state_dir)
        try:
            disturbed = _disturbed(state_dir, database, plan, seed, minutes, tell)
            undisturbed = _undisturbed(state_dir, database, plan, tell)
        finally:
            database.stop()
    disturber, callers, ending = disturbed
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
        },
        "matches": ending.matches,
        "alerts": ending.alerts,
        "lost": ending.lost.total(),
        "repeated": ending.repeated.total(),
        "equal": ending.state == undisturbed,
        "kills_by_point": dict(sorted(disturber.kills.items())),
        **({"lost_by_kind": dict(+ending.lost)} if +ending.lost else {}),
        **({"repeated_by_kind": dict(+ending.repeated)} if +ending.repeated else {}),
        **({} if ending.state == undisturbed else {"differences": _differences(ending.state, undisturbed)}),
    }


def _disturbed(state_dir: Path, database: Database, plan: Plan, seed: int, minutes: float, tell: Tell) -> Disturbed:
    keys = asyncio.run(prepare_database(database.server.url()))
    port, seconds, url = free_port(), 60.0 * minutes, database.server.url()
    command = ["serve", "--host", HOST, "--port", str(port), "--no-matcher"]
    callers = Callers(plan, f"http://{HOST}:{port}", keys, seconds, lambda part: tell("disturbing", part))
    calling = _Calling(callers)
    with nursery() as forks:
        disturber = Disturber(state_dir, database, forks, command, Random(seed))
        calling.start()
        disturber.disturb(seconds, calling.raise_if_failed)
    with serving(state_dir, keys.force, url, port):
        calling.finish()
    ending = asyncio.run(_read(url, callers))
    return Disturbed(disturber, callers, ending)


async def _read(url: str, callers: Callers) -> Ending:
    async with connect(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return await read_ending(connection, callers.log)


class _Calling(threading.Thread):
    """The callers, in a thread of their own: PostgreSQL needs the main one."""

    def __init__(self, callers: Callers) -> None:
        super().__init__(name="callers", daemon=True)
        self._callers = callers
        self._is_peaceful = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._call())
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._error = error

    async def _call(self) -> None:
        others = [asyncio.create_task(each) for each in (self._callers.decide(), self._callers.listen())]
        await self._callers.send_all()
        await asyncio.to_thread(self._is_peaceful.wait)
        others.pop(0).cancel()
        await self._callers.wait_until_idle()
        heard, quiet_since_s = -1, time.monotonic()
        while time.monotonic() - quiet_since_s < 1.0:  # the last events are on their way
            if len(self._callers.log.heard) != heard:
                heard, quiet_since_s = len(self._callers.log.heard), time.monotonic()
            await asyncio.sleep(0.1)
        others.pop().cancel()

    def raise_if_failed(self) -> None:
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Wait until all is sent, matched and heard."""
        self._is_peaceful.set()
        self.join()
        self.raise_if_failed()


def _undisturbed(state_dir: Path, database: Database, plan: Plan, tell: Tell) -> bytes:
    """The state after the same plan in a second database, with one service that nobody disturbs."""
    asyncio.run(_create_second(database.server.url()))
    url = database.server.url(_SECOND)
    keys = asyncio.run(prepare_database(url))
    with serving(state_dir, keys.force, url) as service:
        callers = Callers(plan, service.address, keys, None, lambda part: tell("undisturbed", part))
        asyncio.run(_play(callers))
    return asyncio.run(_read_state(url))


_SECOND = "undisturbed"
CREATE_SECOND = "CREATE DATABASE undisturbed"


async def _create_second(url: str) -> None:
    async with connect(url) as connection:
        await connection.execute(CREATE_SECOND)


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
