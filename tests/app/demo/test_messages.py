from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from convertbng.cutil import convert_lonlat

from app.demo import messages
from app.demo.scene import Scene
from app.demo.town import to_wgs84
from app.times import to_us


def test_every_fix_is_sent_once_with_what_the_tag_knows(scene: Scene) -> None:
    fixes = scene.fixes
    columns = pa.ipc.open_stream(messages.pings(scene, slice(0, 5_000))).read_all().to_pydict()
    assert len(columns["device_id"]) == 5_000
    lon, lat = to_wgs84(fixes.x_m[:5_000], fixes.y_m[:5_000])
    np.testing.assert_allclose(columns["lon"], lon, atol=6e-8)
    np.testing.assert_allclose(columns["lat"], lat, atol=6e-8)
    assert columns["device_id"] == [scene.wearers[wearer].device_id for wearer in fixes.wearer[:5_000].tolist()]
    assert columns["fixed_at_us"] == [scene.time_us(at_s) for at_s in fixes.fixed_s[:5_000].tolist()]
    assert set(columns["source"]) == {"gps", "lbs", "wifi"}
    for sent, known in (("speed_mps", fixes.speed_mps), ("direction_deg", fixes.direction_deg)):
        assert [value is None for value in columns[sent]] == np.isnan(known[:5_000]).tolist()


def test_a_crime_is_sent_at_its_address_whether_in_degrees_or_on_the_grid(scene: Scene) -> None:
    for crime in scene.crimes:
        sent = messages.incident(scene, crime, "Marramstow")
        assert ("easting" in sent) == crime.is_in_grid
        assert ("lon" in sent) != crime.is_in_grid
        if crime.is_in_grid:
            (lon,), (lat,) = convert_lonlat([sent["easting"]], [sent["northing"]])
        else:
            lon, lat = sent["lon"], sent["lat"]
        # A metre is 1.5e-5 degrees of longitude here.
        assert (lon, lat) == pytest.approx(messages.crime_position(scene, crime), abs=1.5e-5)
        assert to_us(datetime.fromisoformat(sent["from"])) == scene.time_us(crime.from_s)
        assert to_us(datetime.fromisoformat(sent["to"])) == scene.time_us(crime.to_s)


def test_every_wearer_wears_their_tag_from_before_the_scene(scene: Scene) -> None:
    fittings = messages.activations(scene)
    registered = messages.wearers(scene, "Marramstow", "WashProbation")
    assert [f["wearer_reference"] for f in fittings] == [w["reference"] for w in registered]
    assert len({f["device_id"] for f in fittings}) == len(scene.wearers)
    start_us = scene.time_us(scene.from_s)
    assert all(to_us(datetime.fromisoformat(f["fitted_at"])) < start_us for f in fittings)
