"""One invented scene for all tests that only look at it."""

import pytest

from app.demo.fixes import Fixes, Source
from app.demo.scene import Scene, make_scene

# A Saturday noon, so that the two days before it are workdays.
UNTIL_US = 1_795_262_400_000_000


@pytest.fixture(scope="session")
def usual_fixes(scene: Scene) -> Fixes:
    """The fixes of the scene but those by which the service is misled."""
    assert scene.mistake is not None
    fixes, at_s = scene.fixes, scene.mistake.at_s
    is_meant = (fixes.wearer == scene.mistake.wearer) & (fixes.fixed_s >= at_s) & (fixes.fixed_s < at_s + 480.0)
    is_usual = ~(is_meant & (fixes.source == Source.WIFI))
    return Fixes._make(column[is_usual] for column in fixes)


@pytest.fixture(scope="session")
def scene() -> Scene:
    return make_scene(7, wearers=24, days=2, crimes=60, until_us=UNTIL_US)
