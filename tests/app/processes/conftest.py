import asyncio

import pytest

from benchmarks.service_process import own_state_dir, prepare, serving
from benchmarks.story import Story
from tests.app.processes.endings import PROFILE, Ending, play_through, read_ending
from tests.app.processes.stories import walks


@pytest.fixture(scope="package")
def story() -> Story:
    return walks(seed=7, devices=30, minutes=400, crimes=80)


@pytest.fixture(scope="package")
def undisturbed(story: Story) -> Ending:
    """What the story ends in when one process does everything and nobody kills it."""
    with own_state_dir() as state_dir:
        keys = prepare(state_dir, PROFILE)
        with serving(state_dir, keys.force) as service:
            asyncio.run(play_through(story, service.address, keys))
        ending = read_ending(state_dir)
    assert len(ending.matches) > 100
    assert len(ending.alerts) > 50
    return ending
