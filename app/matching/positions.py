"""Positions of wearers in stretches of time: what their tags reported while they had them on."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from app.db import Connection
from app.matching.stretches import merged
from app.trails.reading import Found
from app.trails.store import Stretches, read_fixes
from matcher.context import Fittings, Pings, pings_from_columns
from matcher.trails import Longs


class Fitted(NamedTuple):
    """The tags that a wearer had on, in the rows of `fittings`."""

    device_id: Longs  # (F,)
    fittings: Fittings


class Span(NamedTuple):
    """A stretch of time; both ends belong to it."""

    from_us: int
    to_us: int


class Positions(NamedTuple):
    """N positions of one wearer in any order: columns as `pings_from_columns` takes them."""

    fitting: Longs  # (N,)
    fixed_at_us: Longs  # (N,)
    source: Longs  # (N,)
    lon_e7: Longs  # (N,)
    lat_e7: Longs  # (N,)
    accuracy_cm: Longs  # (N,)

    def with_more(self, more: "Positions") -> "Positions":
        """Give these and others."""
        return Positions(*(np.concatenate(columns) for columns in zip(self, more, strict=True)))

    def pings(self) -> Pings:
        """Give them as the evidence takes them."""
        return pings_from_columns(
            self.fitting, self.fixed_at_us, self.lon_e7, self.lat_e7, self.accuracy_cm, self.source
        )


NOTHING: Final = Positions(*(np.empty(0, np.int64) for _ in Positions._fields))


async def read_positions(
    connection: Connection, fitted: Sequence[Fitted], spans: Sequence[Sequence[Span]]
) -> list[Positions]:
    """Read each wearer's positions in each of their stretches of time, which do not overlap; in one statement.

    What several of them look at is read once.
    """
    parts = [list(_parts(*one)) for one in zip(fitted, spans, strict=True)]
    stretches = _stretches([part for each in parts for part in each])
    stored = _Stored(await read_fixes(connection, merged(stretches)))
    return [stored.cut(each) for each in parts]


class _Part(NamedTuple):
    """What of one fitting lies in one stretch."""

    fitting: int
    device_id: int
    span: Span


def _parts(fitted: Fitted, spans: Sequence[Span]) -> Iterator[_Part]:
    columns = (fitted.device_id, fitted.fittings.from_us, fitted.fittings.to_us)
    for fitting, (device_id, from_us, to_us_) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        for span in spans:
            part = Span(max(from_us, span.from_us), min(to_us_, span.to_us))
            if part.from_us <= part.to_us:
                yield _Part(fitting, device_id, part)


def _stretches(parts: list[_Part]) -> Stretches:
    return Stretches(
        np.array([part.device_id for part in parts], np.int32),
        np.array([part.span.from_us for part in parts], np.int64),
        np.array([part.span.to_us for part in parts], np.int64),
    )


class _Stored:
    """Positions as they were read, to be cut by device and time."""

    def __init__(self, found: Found) -> None:
        self._values = found.values
        devices, starts, sizes = np.unique(found.device_id, return_index=True, return_counts=True)
        ends = (starts + sizes).tolist()
        self._rows = dict(zip(devices.tolist(), zip(starts.tolist(), ends, strict=True), strict=True))

    def cut(self, parts: list[_Part]) -> Positions:
        """Give what lies in these parts."""
        slices = [self._slice(part) for part in parts]
        if not slices:
            return NOTHING
        rows = np.concatenate([np.arange(each.start, each.stop) for each in slices])
        fitting = np.repeat([part.fitting for part in parts], [each.stop - each.start for each in slices])
        # Not by `[:, rows]`, whose columns are strided: for those every kernel would be compiled anew, for seconds.
        return Positions(fitting, *np.take(self._values, rows, axis=1))

    def _slice(self, part: _Part) -> slice:
        start, end = self._rows.get(part.device_id, (0, 0))
        times_us = self._values[0, start:end]
        first, last = np.searchsorted(times_us, (part.span.from_us, part.span.to_us + 1)).tolist()
        return slice(start + first, start + last)
