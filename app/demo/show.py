"""The whole demo: database, service, town, play, result; then serving on."""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.db import connect
from app.demo.child import running_service, usable_port
from app.demo.database import demo_database
from app.demo.parties import FORCE, Keys, found_parties
from app.demo.play import Played, play
from app.demo.report import as_table, summary
from app.demo.scene import Scene, make_scene
from app.demo.town import NAME
from app.demo.truth import weigh
from app.running import Service
from app.settings import Settings

# What people watch goes to stderr, so that stdout holds nothing but the result.
_console = Console(stderr=True)

DONE, IN_PART = 0, 3
# Days that tell what is ordinary: from seven on the evidence counts them, and some are not whole.
_DAYS_BEFORE = 9


class Wanted(NamedTuple):
    """What was asked for on the command line."""

    seed: int
    wearers: int
    days: int
    crimes: int
    port: int
    once: bool
    as_json: bool


def show(settings: Settings, wanted: Wanted) -> int:
    """Run the demo and return its exit code; without `once`, serve on until interrupted."""
    # `kill` ends us as Ctrl-C does: service and database are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    port = usable_port(wanted.port)  # inventing takes a while: a port that is taken is said before
    _say(f"inventing {NAME}")
    scene = make_scene(
        wanted.seed,
        wearers=wanted.wearers,
        days=wanted.days,
        crimes=wanted.crimes,
        until_us=_now_us(),
        days_before=_DAYS_BEFORE,
    )
    _say(f"{scene.town.people:,} people, {wanted.wearers} of them on a tag, {scene.fixes.wearer.size:,} fixes")
    with demo_database(settings) as url, running_service(url, port, settings.state_dir) as service:
        keys = asyncio.run(_found(url))
        _say("waiting for the service (its first start compiles the matcher)")
        service.wait_until_ready(keys.force)
        with _progress(scene) as tell:
            played = asyncio.run(play(scene, service.address, keys, tell))
        figures = summary(scene, played, weigh(scene, played))
        if wanted.as_json:
            sys.stdout.write(json.dumps(figures) + "\n")
            sys.stdout.flush()
        else:
            Console().print(as_table(figures))
        if not wanted.once:
            _serve_on(scene, service, keys)
        return DONE if _is_whole(played) else IN_PART


def _now_us() -> int:
    # On a whole minute that has passed: no fix of the scene is ahead of the service's clock.
    return int(time.time() // 60) * 60_000_000


async def _found(url: str) -> Keys:
    async with connect(url) as connection:
        return await found_parties(connection)


def _is_whole(played: Played) -> bool:
    return played.is_idle and played.pings.rejected == 0


@contextlib.contextmanager
def _progress(scene: Scene) -> Iterator[Callable[[float, int], None]]:
    """A bar over the days of the scene, on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[alerts]}"), TimeElapsedColumn())
    with Progress(*columns, console=_console, disable=not _console.is_terminal) as progress:
        task = progress.add_task("playing", total=scene.until_s - scene.crimes_from_s, alerts="")

        def tell(at_s: float, alerts: int) -> None:
            moment = datetime.fromtimestamp(scene.time_us(at_s) / 1e6, UTC)
            progress.update(
                task,
                completed=at_s - scene.crimes_from_s,
                description=f"playing {moment:%A %H:%M}",
                alerts=f"{alerts} alerts",
            )

        yield tell


def _serve_on(scene: Scene, service: Service, keys: Keys) -> None:
    """Say how to look around, and wait for Ctrl-C."""
    reference = scene.crimes[0].reference if scene.crimes else "MS-00001"
    lines = [
        "",
        f"TrailMatch is at {service.address} until you press Ctrl-C. To look around as {FORCE}'s police:",
        f"KEY={keys.force}",
        f'curl -H "Authorization: Bearer $KEY" {service.address}/v1/alerts',
        f'curl -H "Authorization: Bearer $KEY" "{service.address}/v1/incidents?force={FORCE}&reference={reference}"',
        f'curl -N -H "Authorization: Bearer $KEY" "{service.address}/v1/alerts/stream?after=0"',
        f"The API is described at {service.address}/docs (sign in with any name, and the key as password).",
    ]
    _say("\n".join(lines))
    with contextlib.suppress(KeyboardInterrupt):
        service.wait()


def _say(words: str) -> None:
    _console.print(words, highlight=False, markup=False, soft_wrap=True)
