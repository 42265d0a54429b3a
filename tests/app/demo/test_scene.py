import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.demo.scene import Scene, make_scene
from app.demo.town import make_town
from app.demo.wearers import draw_wearers
from tests.app.demo.conftest import UNTIL_US


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(seed: int) -> None:
    assert digest(small(seed)) == digest(small(seed))
    assert digest(small(seed)) != digest(small(seed + 1))


def test_more_wearers_leave_the_first_as_they_are() -> None:
    town = make_town(1)
    assert draw_wearers(1, town, 20)[:5] == draw_wearers(1, town, 5)


def test_the_scene_ends_now_and_covers_its_days(scene: Scene) -> None:
    assert scene.time_us(scene.until_s) == UNTIL_US
    assert scene.until_s - scene.from_s == 2 * 86_400.0
    assert scene.fixes.fixed_s.min() >= scene.from_s
    assert scene.fixes.fixed_s.max() > scene.until_s - 200.0


def test_a_scene_without_crimes_and_one_with_nobody_but_one_wearer_can_be_made() -> None:
    assert make_scene(1, wearers=1, days=1, crimes=0, until_us=UNTIL_US).crimes == []
    assert len(make_scene(1, wearers=1, days=1, crimes=6, until_us=UNTIL_US).crimes) == 6


def small(seed: int) -> Scene:
    return make_scene(seed, wearers=3, days=1, crimes=6, until_us=UNTIL_US)


def digest(thing: object) -> str:
    """A hash over every number and letter in nested tuples, lists, dicts and arrays."""
    if isinstance(thing, np.ndarray):
        return hashlib.sha256(thing.tobytes()).hexdigest()
    if isinstance(thing, dict):
        thing = list(thing.items())
    if isinstance(thing, tuple | list):
        return hashlib.sha256("".join(digest(part) for part in thing).encode()).hexdigest()
    return repr(thing)
