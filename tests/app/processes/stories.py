"""Invented stories to replay: people who walk about a few streets, and crimes on their way."""

import numpy as np

from benchmarks.story import Report, Story

_NOON_US = 1_773_489_600_000_000  # 2026-03-14 12:00 UTC
_MINUTE_US = 60_000_000
_LON_DEG, _LAT_DEG = -1.55, 53.8
_E7_PER_METRE_NORTH = 90
_E7_PER_METRE_EAST = 152


def walks(seed: int, *, devices: int, minutes: int, crimes: int) -> Story:
    """A fix a minute of each device, on a walk of up to 80 m a minute; each crime lies near somebody's fix.

    Some fixes arrive up to an hour late, so that a batch also falls between what is stored already.
    """
    draw = np.random.default_rng(seed)
    shape = devices, minutes
    east_e7 = np.cumsum(draw.integers(-80, 81, shape), axis=1) * _E7_PER_METRE_EAST
    north_e7 = np.cumsum(draw.integers(-80, 81, shape), axis=1) * _E7_PER_METRE_NORTH
    fixed_at_us = _NOON_US + np.arange(minutes) * _MINUTE_US + draw.integers(0, _MINUTE_US, shape)
    late_us = np.where(draw.random(shape) < 0.1, draw.integers(0, 60 * _MINUTE_US, shape), 0)
    order = np.argsort((fixed_at_us + late_us).ravel(), kind="stable")
    story = Story(
        serials=[f"T{device:03d}" for device in range(devices)],
        device=np.repeat(np.arange(devices, dtype=np.int32), minutes)[order],
        fixed_at_us=fixed_at_us.ravel()[order],
        lon_deg=((round(_LON_DEG * 1e7) + east_e7) / 1e7).ravel()[order],
        lat_deg=((round(_LAT_DEG * 1e7) + north_e7) / 1e7).ravel()[order],
        reports=[],
    )
    return story._replace(reports=[_near_somebody(draw, story, number) for number in range(crimes)])


def _near_somebody(draw: np.random.Generator, story: Story, number: int) -> Report:
    row = int(draw.integers(story.device.size))
    from_us = int(story.fixed_at_us[row]) - int(draw.integers(0, 30)) * _MINUTE_US
    return Report(
        reference=f"C{number:03d}",
        offence="BIAD",
        from_us=from_us,
        to_us=from_us + int(draw.integers(0, 30)) * _MINUTE_US,
        lon_deg=float(story.lon_deg[row]) + float(draw.normal(0, 40)) * _E7_PER_METRE_EAST / 1e7,
        lat_deg=float(story.lat_deg[row]) + float(draw.normal(0, 40)) * _E7_PER_METRE_NORTH / 1e7,
    )
