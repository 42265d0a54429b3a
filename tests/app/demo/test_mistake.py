import numpy as np

from app.demo.fixes import Source
from app.demo.mistake import find_mistake, with_mistake
from app.demo.scene import Scene


def test_wifi_puts_a_wearer_at_a_crime_and_gps_comes_later_from_elsewhere(scene: Scene) -> None:
    mistake = find_mistake(7, scene.town, scene.wearers, scene.lives, scene.fixes, scene.crimes_from_s, scene.until_s)
    assert mistake is not None
    fixes = with_mistake(scene.fixes, mistake, scene.town)
    is_meant = (fixes.wearer == mistake.wearer) & (np.abs(fixes.fixed_s - mistake.at_s - 240.0) < 240.0)
    east_m = fixes.x_m - scene.town.address_x_m[mistake.address]
    north_m = fixes.y_m - scene.town.address_y_m[mistake.address]
    away_m, late_s = np.hypot(east_m, north_m), fixes.received_s - fixes.fixed_s
    by_wifi = is_meant & (fixes.source == Source.WIFI) & (away_m == 0.0)
    assert np.count_nonzero(by_wifi) >= 6
    assert late_s[by_wifi].max() < 60.0 + 3_600.0
    assert away_m[is_meant & (fixes.source == Source.GPS)].min() > 150.0
    assert np.all(np.diff(fixes.received_s) >= 0.0)


def test_the_scene_has_a_crime_where_nobody_on_a_tag_was(scene: Scene) -> None:
    mistaken = [
        c for c in scene.crimes if c.offender < 0 and c.to_s - c.from_s == 720.0 and c.reported_s - c.to_s == 600.0
    ]
    assert len(mistaken) == 1
