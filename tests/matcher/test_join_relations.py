"""What must stay the same when a question is put differently."""

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.hits import NO_TIME_US, Hits
from matcher.index import incident_grid
from matcher.join import Between, space_time_join
from matcher.trails import Trails
from tests.scenes import MAX_GAP_S, MAX_SPEED_MPS, Scene, scenes

BETWEEN = Between(MAX_GAP_S, MAX_SPEED_MPS)
TIMES = ("first_us", "last_us", "closest_us", "near_us", "enter_us", "leave_us")


def _equal(one: Hits, other: Hits) -> None:
    for column, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(column, same)


def _only(hits: Hits, chosen: np.ndarray) -> Hits:
    return Hits._make(column[chosen] for column in hits)


@given(scenes(), st.sampled_from([2, 3]))
def test_threads_change_nothing(scene: Scene, threads: int) -> None:
    trails, incidents = scene.trails(), scene.arrays()
    _equal(space_time_join(trails, incidents, BETWEEN), space_time_join(trails, incidents, BETWEEN, threads=threads))


@given(scenes(), st.randoms(use_true_random=False))
def test_the_order_of_incidents_only_orders_the_hits(scene: Scene, random: Random) -> None:
    order = list(range(len(scene.incidents)))
    random.shuffle(order)
    expected = space_time_join(scene.trails(), scene.arrays(), BETWEEN)
    shuffled = scene._replace(incidents=[scene.incidents[row] for row in order])
    hits = space_time_join(shuffled.trails(), shuffled.arrays(), BETWEEN)
    hits = hits._replace(incident=np.array(order, dtype=np.int64)[hits.incident])
    _equal(_only(hits, np.lexsort((hits.device, hits.incident))), expected)


@given(scenes())
def test_an_incident_given_twice_is_hit_twice_alike(scene: Scene) -> None:
    count = len(scene.incidents)
    hits = space_time_join(scene.trails(), scene._replace(incidents=scene.incidents * 2).arrays(), BETWEEN)
    first, second = _only(hits, hits.incident < count), _only(hits, hits.incident >= count)
    _equal(first, second._replace(incident=second.incident - count))


@given(scenes())
def test_incidents_asked_one_by_one_give_the_same(scene: Scene) -> None:
    together = space_time_join(scene.trails(), scene.arrays(), BETWEEN)
    for row, incident in enumerate(scene.incidents):
        alone = space_time_join(scene.trails(), scene._replace(incidents=[incident]).arrays(), BETWEEN)
        _equal(alone._replace(incident=alone.incident + row), _only(together, together.incident == row))


@given(scenes())
def test_devices_asked_one_by_one_give_the_same(scene: Scene) -> None:
    trails = scene.trails()
    together = space_time_join(trails, scene.arrays(), BETWEEN)
    for device in range(trails.device_id.size):
        start, end = trails.starts[device : device + 2]
        one = Trails(
            trails.device_id[[device]],
            np.array([0, end - start]),
            trails.fixed_at_us[start:end],
            trails.lon_e7[start:end],
            trails.lat_e7[start:end],
        )
        alone = space_time_join(one, scene.arrays(), BETWEEN)
        _equal(alone._replace(device=alone.device + device), _only(together, together.device == device))


@given(scenes(), st.integers(-(10**16), 10**16))
def test_shifting_all_times_shifts_the_times_of_the_hits(scene: Scene, shift_us: int) -> None:
    hits = space_time_join(scene.trails(), scene.arrays(), BETWEEN)
    later = Scene(
        [ping._replace(time_us=ping.time_us + shift_us) for ping in scene.pings],
        [i._replace(from_us=i.from_us + shift_us, to_us=i.to_us + shift_us) for i in scene.incidents],
    )
    moved = {
        name: np.where(getattr(hits, name) == NO_TIME_US, NO_TIME_US, getattr(hits, name) + shift_us) for name in TIMES
    }
    _equal(space_time_join(later.trails(), later.arrays(), BETWEEN), hits._replace(**moved))


@given(scenes())
def test_no_gap_at_all_is_the_same_as_pings_alone(scene: Scene) -> None:
    trails, incidents = scene.trails(), scene.arrays()
    _equal(space_time_join(trails, incidents, Between(0, MAX_SPEED_MPS)), space_time_join(trails, incidents))


@given(scenes())
def test_lines_add_to_the_pings_and_change_nothing_of_them(scene: Scene) -> None:
    with_lines = space_time_join(scene.trails(), scene.arrays(), BETWEEN)
    alone = space_time_join(scene.trails(), scene.arrays())
    seen = _only(with_lines, with_lines.n_pings > 0)
    for name in ("incident", "device", "n_pings", "first_us", "last_us", "closest_m", "closest_us"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(alone, name))
    assert np.all(with_lines.near_m <= with_lines.closest_m)
    assert np.all(with_lines.enter_us <= with_lines.near_us)
    assert np.all(with_lines.near_us <= with_lines.leave_us)


@settings(max_examples=30)
@given(scenes())
def test_a_grid_may_be_kept_and_joined_again(scene: Scene) -> None:
    grid = incident_grid(scene.arrays())
    for _ in range(2):
        _equal(space_time_join(scene.trails(), grid, BETWEEN), space_time_join(scene.trails(), scene.arrays(), BETWEEN))
