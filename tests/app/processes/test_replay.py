"""The whole way over HTTP, as the benchmark goes it: pings, fittings and crimes in, and the matches of a scan out."""

import asyncio
from pathlib import Path

from benchmarks.answers import compare, scan
from benchmarks.playing import Played, meetings_of, play
from benchmarks.service_process import own_state_dir, prepare, serving
from benchmarks.story import Question, Story
from benchmarks.taxis import KNOWN, read_one_day, read_one_days_pairs
from matcher.profile import plain_radius
from tests.app.processes.stories import walks


def replayed(story: Story, question: Question) -> Played:
    with own_state_dir() as state_dir:
        keys = prepare(state_dir, plain_radius("replay", *question))
        with serving(state_dir, keys.force) as service:
            return asyncio.run(play(story, service.address, keys, "replay", lambda *_: None, batch_pings=500))


def test_an_invented_story_ends_in_the_matches_that_a_scan_of_every_ping_finds() -> None:
    story = walks(seed=1, devices=12, minutes=300, crimes=60)
    question = Question(radius_m=130.0, pad_s=240.0)
    played = replayed(story, question)
    truth = scan(story, question, seed=1, crimes=len(story.reports))
    assert len(truth.meetings) > 50
    assert not compare(meetings_of(played.matches), truth)
    assert (played.accepted, played.duplicates) == (story.device.size, 0)
    alerted = {(alert["incident"]["reference"], alert["wearer"]["reference"]) for alert in played.alerts}
    assert alerted == set(meetings_of(played.matches))


def test_a_day_of_real_taxis_meets_the_real_crimes_that_are_known(real_data: Path) -> None:
    played = replayed(read_one_day(real_data), KNOWN)
    assert set(meetings_of(played.matches)) == read_one_days_pairs(real_data)
