"""One invented scene for all tests that only look at it."""

import pytest

from app.demo.scene import Scene, make_scene

# A Saturday noon, so that the two days before it are workdays.
UNTIL_US = 1_795_262_400_000_000


@pytest.fixture(scope="session")
def scene() -> Scene:
    return make_scene(7, wearers=24, days=2, crimes=60, until_us=UNTIL_US)
