"""Cases for tests of the evidence: a wearer's context and an incident, from rows about the place of the crime."""

from math import cos, radians

import numpy as np
import numpy.typing as npt

from matcher.context import (
    NO_EVENTS,
    Context,
    Events,
    Fittings,
    History,
    Incident,
    Pings,
    fixes_of,
    pings_from_columns,
)
from matcher.profile import Profile

LON_DEG, LAT_DEG = -2.587, 51.4545
MINUTE_US = 60_000_000
DAY_US = 86_400_000_000
# Not a full hour.
CRIME_US = 1_780_000_000_000_000 // DAY_US * DAY_US + 10 * 3_600_000_000 + 7 * MINUTE_US

# Seconds after the crime's start, metres east and north of it, accuracy in metres (0: not stated), source.
Row = tuple[float, float, float, float, int]


def crime(minutes: float = 20, offence: str = "BIAD") -> Incident:
    return Incident(LON_DEG, LAT_DEG, offence, CRIME_US, CRIME_US + round(minutes * MINUTE_US))


def pings(rows: list[Row], fitting: int | list[int] = 0) -> Pings:
    at_s, x_m, y_m, accuracy_m, source = np.array(rows, np.float64).reshape(-1, 5).T
    return pings_from_columns(
        np.broadcast_to(fitting, at_s.shape),
        CRIME_US + np.rint(at_s * 1e6).astype(np.int64),
        np.rint(LON_DEG * 1e7 + x_m / 0.0111320 / cos(radians(LAT_DEG))),
        np.rint(LAT_DEG * 1e7 + y_m / 0.0111250),
        np.rint(accuracy_m * 100),
        source,
    )


def context(
    rows: list[Row] | Pings,
    events: list[tuple[float, str]] | None = None,
    fitted_s: list[tuple[float, float]] | None = None,
    conflicts_s: tuple[float, ...] = (),
    history: History | None = None,
) -> Context:
    """The context of these rows, all of one tag that was always fitted unless told otherwise."""
    fitted = np.array(fitted_s or [(-1e9, 1e9)]) * 1e6 + CRIME_US
    told = events or []
    return Context(
        rows if isinstance(rows, Pings) else pings(rows),
        Fittings(fitted[:, 0].astype(np.int64), fitted[:, 1].astype(np.int64), ("acme",) * len(fitted)),
        Events(
            np.array([CRIME_US + round(at_s * 1e6) for at_s, _ in told], np.int64),
            tuple(kind for _, kind in told),
            np.zeros(len(told), np.int32),
        )
        if told
        else NO_EVENTS,
        np.array([CRIME_US + round(at_s * 1e6) for at_s in conflicts_s], np.int64),
        None,
        history,
    )


def history(rows: list[Row], profile: Profile, days: int = 90) -> History:
    """The life before of somebody who had these fixes on each of so many days, the times as on the day of the crime."""
    shifts_us = -DAY_US * np.arange(days, 0, -1)
    one = pings(rows)
    time_us = (one.fixed_at_us + shifts_us[:, None]).ravel()
    columns = (np.tile(column, days) for column in (one.lon_e7, one.lat_e7, one.accuracy_cm, one.source))
    fixes = fixes_of(pings_from_columns(np.zeros(time_us.size), time_us, *columns), ("acme",), profile)
    return History(fixes, shifts_us)


def visit_of(minutes: float, accuracy_m: float = 8, often_s: float = 60, away_m: float = 3000) -> list[Row]:
    """A wearer who comes by car, stays so long at 20 m, from the tenth minute of the crime, and drives off."""
    rows: list[Row] = []
    for at_s in np.arange(-3600, 7200, often_s).tolist():
        outside_s = max(600 - at_s, at_s - 600 - minutes * 60, 0)
        x_m = min(outside_s * 10, away_m)
        rows.append((at_s, 20 + x_m, 5.0, accuracy_m, 1))
    return rows


def elsewhere(away_m: float = 6000) -> list[Row]:
    return [(60.0 * i, away_m, 0.0, 8.0, 1) for i in range(-60, 120)]


def shuffled(all_of_them: Pings, seed: int) -> Pings:
    order = np.random.default_rng(seed).permutation(all_of_them.fixed_at_us.size)
    return pings_from_columns(*(column[order] for column in all_of_them))


def rows_where(all_of_them: Pings, wanted: npt.NDArray[np.bool_]) -> Pings:
    return Pings._make(column[wanted] for column in all_of_them)
