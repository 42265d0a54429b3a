"""`python -m benchmarks replay`: real trails and crimes through the whole service, and whether the answer is right."""

import asyncio
import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.answers import Truth, compare, scan
from benchmarks.machine import describe_machine
from benchmarks.memory import Peak, metering
from benchmarks.playing import Played, meetings_of, play
from benchmarks.progress import progress_bar
from benchmarks.service_process import own_state_dir, prepare, serving
from benchmarks.story import Question, Story
from benchmarks.taxis import KNOWN, read_known_meetings, read_taxis
from matcher.profile import plain_radius

_PROFILE = "replay"

# What people watch goes to stderr, so that stdout holds nothing but the result.
_console = Console(stderr=True)


def replay(
    *,
    data: Annotated[Path, typer.Option(envvar="TRAILMATCH_DATA", help="Directory of the real trails and crimes.")],
    radius_m: Annotated[float, typer.Option(min=1, max=10_000, help="How near a ping counts.")] = KNOWN.radius_m,
    pad_s: Annotated[float, typer.Option(min=0, max=86_400, help="How long before and after.")] = KNOWN.pad_s,
    limit_pings: Annotated[int | None, typer.Option(min=1, help="Only the first so many pings.")] = None,
    batch_pings: Annotated[int, typer.Option(min=1, max=1_000_000, help="Pings in one request.")] = 5_000,
    sample: Annotated[int, typer.Option(min=1, help="Crimes to check by a scan, where no answer is known.")] = 200,
    seed: Annotated[int, typer.Option(help="Which crimes are in the sample.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Send the taxis' pings to a service over HTTP as they would arrive, and report the crimes halfway through.

    The service is started for it, with an embedded database of its own. The matches are compared with the known answer,
    or for another question, or fewer pings, with a naive scan for a sample of the crimes. Exit 1: they differ.
    """
    question = Question(radius_m, pad_s)
    machine = describe_machine()
    _say("reading")
    story = read_taxis(data)
    is_known = question == KNOWN and limit_pings is None
    if limit_pings is not None:
        story = story.first(limit_pings)
    began_s = time.perf_counter()
    played, peak = _run(story, question, batch_pings)
    seconds = time.perf_counter() - began_s
    truth = _known(story, data) if is_known else scan(story, question, seed, sample)
    result = _result(story, question, truth, played, peak) | {"seconds": round(seconds, 1), **machine}
    typer.echo(json.dumps(result) if as_json else "\n".join(f"{name:22} {value}" for name, value in result.items()))
    raise typer.Exit(0 if result["equal"] else 1)


def _run(story: Story, question: Question, batch_pings: int) -> tuple[Played, Peak]:
    with own_state_dir() as state_dir:
        _say("starting")
        keys = prepare(state_dir, plain_radius(_PROFILE, *question))
        with serving(state_dir, keys.force) as service, metering(service.process.pid) as meter, progress_bar() as tell:
            played = asyncio.run(play(story, service.address, keys, _PROFILE, tell, batch_pings))
        return played, meter.peak


def _known(story: Story, data: Path) -> Truth:
    return Truth({report.reference for report in story.reports}, read_known_meetings(data), set())


def _result(story: Story, question: Question, truth: Truth, played: Played, peak: Peak) -> dict[str, Any]:
    found = meetings_of(played.matches)
    difference = compare(found, truth)
    pings = story.device.size
    is_whole = played.accepted + played.duplicates == pings
    return {
        "pings": pings,
        "incidents": len(story.reports),
        "pairs": len(found),
        "pings_inside": sum(meeting.n_pings for meeting in found.values()),
        "alerts": len(played.alerts),
        "equal": is_whole and not difference,
        "compared_incidents": len(truth.references),
        "compared_pairs": len(truth.meetings),
        **({} if not difference else {"differences": difference.summary()}),
        # Acknowledged, that is on disk, over the time from the first request to the last answer; the matcher runs,
        # the incidents are posted in between, and client, service and database share the machine.
        "pings_per_s": round(pings / played.sending_s),
        "sending_s": round(played.sending_s, 1),
        "backlog_batches": played.backlog,
        "drain_s": round(played.drain_s, 1),
        "repeats": played.repeats,
        "peak_rss_mb": peak.service_mb,
        "postgres_peak_rss_mb": peak.postgres_mb,
        "radius_m": question.radius_m,
        "pad_s": question.pad_s,
    }


def _say(words: str) -> None:
    if _console.is_terminal:
        _console.print(words, highlight=False)
