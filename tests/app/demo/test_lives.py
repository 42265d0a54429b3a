import numpy as np

from app.demo.lives import moment_of
from app.demo.scene import Scene
from app.demo.ways import Mode

FASTEST_MPS = {Mode.INSIDE: 0.0, Mode.STANDING: 0.0, Mode.FOOT: 1.7, Mode.BUS: 12.5, Mode.CAR: 12.5}


def test_nobody_is_faster_than_their_way_of_moving_allows(scene: Scene) -> None:
    for life in scene.lives:
        span_s = np.diff(life.at_s)
        away_m = np.hypot(np.diff(life.x_m), np.diff(life.y_m))
        fastest_mps = np.array([FASTEST_MPS[Mode(mode)] for mode in life.mode[:-1].tolist()])
        assert (span_s >= 0.0).all()
        assert (away_m <= fastest_mps * span_s + 1e-6).all()


def test_people_walk_and_ride_at_believable_speeds(scene: Scene) -> None:
    for mode, slowest_mps in ((Mode.FOOT, 1.0), (Mode.BUS, 2.0), (Mode.CAR, 4.0)):
        metres = seconds = 0.0
        for life in scene.lives:
            is_so = life.mode[:-1] == mode
            metres += float(np.hypot(np.diff(life.x_m), np.diff(life.y_m))[is_so].sum())
            seconds += float(np.diff(life.at_s)[is_so].sum())
        assert seconds > 0.0
        assert slowest_mps < metres / seconds < FASTEST_MPS[mode]


def test_rides_keep_to_the_streets(scene: Scene) -> None:
    town = scene.town
    one, other = town.street_ends.T
    start = np.stack([town.junction_x_m[one], town.junction_y_m[one]], axis=1)
    along = np.stack([town.junction_x_m[other], town.junction_y_m[other]], axis=1) - start
    for life in scene.lives:
        is_riding = np.isin(life.mode, (Mode.BUS, Mode.CAR))
        for x_m, y_m in zip(life.x_m[is_riding], life.y_m[is_riding], strict=True):
            offset = np.array([x_m, y_m]) - start
            part = np.clip((offset * along).sum(axis=1) / town.street_length_m**2, 0.0, 1.0)
            assert np.hypot(*(offset - part[:, None] * along).T).min() < 1e-6


def test_wearers_sleep_at_home(scene: Scene) -> None:
    four_oclock_s = np.array([day * 86_400.0 + 4 * 3_600.0 for day in (0, 1, 2)])
    is_home = [
        np.hypot(moment.x_m - scene.town.address_x_m[wearer.home], moment.y_m - scene.town.address_y_m[wearer.home])
        < 1.0
        for wearer, moment in (
            (w, moment_of(life, four_oclock_s)) for w, life in zip(scene.wearers, scene.lives, strict=True)
        )
    ]
    assert np.mean(is_home) > 0.85


def test_wearers_leave_home_every_day(scene: Scene) -> None:
    for wearer, life in zip(scene.wearers, scene.lives, strict=True):
        home = scene.town.address_x_m[wearer.home], scene.town.address_y_m[wearer.home]
        away_m = np.hypot(life.x_m - home[0], life.y_m - home[1])
        assert away_m[life.at_s < 86_400.0].max() > 50.0
        assert away_m[(life.at_s > 86_400.0) & (life.at_s < 2 * 86_400.0)].max() > 50.0


def test_a_moment_lies_between_its_knots(scene: Scene) -> None:
    life = scene.lives[0]
    moving = np.flatnonzero(np.diff(life.x_m) != 0.0)
    middle = moment_of(life, (life.at_s[moving] + life.at_s[moving + 1]) / 2)
    np.testing.assert_allclose(middle.x_m, (life.x_m[moving] + life.x_m[moving + 1]) / 2)
    np.testing.assert_allclose(middle.y_m, (life.y_m[moving] + life.y_m[moving + 1]) / 2)
    east_m, north_m = np.diff(life.x_m)[moving], np.diff(life.y_m)[moving]
    np.testing.assert_allclose(middle.speed_mps * np.diff(life.at_s)[moving], np.hypot(east_m, north_m))
    np.testing.assert_allclose(np.sin(np.radians(middle.direction_deg)), east_m / np.hypot(east_m, north_m), atol=1e-9)
