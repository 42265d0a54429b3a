"""What a contractor and a force would send of a scene, in the public API's own terms."""

from typing import Any

import numpy as np
import pyarrow as pa

from app.demo.crimes import Crime
from app.demo.fixes import Source
from app.demo.scene import Scene
from app.demo.town import to_wgs84
from app.times import to_datetime
from geo.bng import bng_from_lonlat

ARROW = "application/vnd.apache.arrow.stream"
_SOURCE_NAMES = np.array([source.name.lower() for source in Source])
_DAY_US = 86_400_000_000


def wearers(scene: Scene, force: str, probation: str) -> list[dict[str, Any]]:
    """Every wearer, by a pseudonymous reference."""
    return [{"reference": wearer.reference, "force": force, "probation": probation} for wearer in scene.wearers]


def activations(scene: Scene) -> list[dict[str, Any]]:
    """Which tag each wearer wears since when."""
    start_us = scene.time_us(scene.from_s)
    return [
        {
            "activation_id": f"F-{number + 1:05d}",
            "revision": 1,
            "device_id": wearer.device_id,
            "wearer_reference": wearer.reference,
            "fitted_at": to_datetime(start_us - wearer.fitted_days * _DAY_US).isoformat(),
            "removed_at": None,
        }
        for number, wearer in enumerate(scene.wearers)
    ]


def pings(scene: Scene, rows: slice) -> bytes:
    """Fixes as an Arrow IPC stream; what a tag does not know is null."""
    fixes = scene.fixes
    lon, lat = to_wgs84(fixes.x_m[rows], fixes.y_m[rows])
    serials = np.array([wearer.device_id for wearer in scene.wearers])
    fixed_at_us = scene.midnight_us + np.round(fixes.fixed_s[rows] * 1e6).astype(np.int64)
    table = pa.table(
        {
            "device_id": pa.array(serials[fixes.wearer[rows]].tolist(), pa.string()),
            "fixed_at_us": pa.array(fixed_at_us),
            # A tag gives seven decimals, a centimetre.
            "lon": pa.array(np.round(lon, 7)),
            "lat": pa.array(np.round(lat, 7)),
            "accuracy_m": pa.array(fixes.accuracy_m[rows]),
            "speed_mps": pa.array(fixes.speed_mps[rows], from_pandas=True),
            "direction_deg": pa.array(fixes.direction_deg[rows], from_pandas=True),
            "source": pa.array(_SOURCE_NAMES[fixes.source[rows]].tolist(), pa.string()),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def incident(scene: Scene, crime: Crime, force: str) -> dict[str, Any]:
    """One crime, placed at its address, in degrees or in whole metres of the National Grid."""
    lon, lat = crime_position(scene, crime)
    position: dict[str, float] = {"lon": round(lon, 6), "lat": round(lat, 6)}
    if crime.is_in_grid:
        easting_m, northing_m = bng_from_lonlat(lon, lat)
        position = {"easting": round(float(easting_m[0])), "northing": round(float(northing_m[0]))}
    return {
        "force": force,
        "reference": crime.reference,
        "offence": crime.kind.code,
        "from": to_datetime(scene.time_us(crime.from_s)).isoformat(),
        "to": to_datetime(scene.time_us(crime.to_s)).isoformat(),
        **position,
        "position_r95_m": crime.kind.position_r95_m,
        "text": crime.kind.text,
    }


def crime_position(scene: Scene, crime: Crime) -> tuple[float, float]:
    """(lon, lat) of the address where a crime was recorded."""
    at = slice(crime.address, crime.address + 1)
    lon, lat = to_wgs84(scene.town.address_x_m[at], scene.town.address_y_m[at])
    return float(lon[0]), float(lat[0])
