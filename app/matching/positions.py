"""Positions of wearers in stretches of time: what their tags reported while they had them on."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.db import Connection
from app.matching.stretches import merged
from app.trails.reading import Found
from app.trails.store import Stretches, read_fixes
from matcher.context import Fittings, Pings, pings_from_columns
from matcher.cut import Parts, cut_out, parts_within
from matcher.trails import Ints, Longs


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

    fitting: Ints  # (N,)
    fixed_at_us: Longs  # (N,)
    source: Ints  # (N,)
    lon_e7: Ints  # (N,)
    lat_e7: Ints  # (N,)
    accuracy_cm: Ints  # (N,)

    def with_more(self, more: "Positions") -> "Positions":
        """Give these and others."""
        return Positions(*(np.concatenate((getattr(self, name), getattr(more, name))) for name in self._fields))

    def pings(self) -> Pings:
        """Give them as the evidence takes them."""
        return pings_from_columns(
            self.fitting, self.fixed_at_us, self.lon_e7, self.lat_e7, self.accuracy_cm, self.source
        )


async def read_positions(
    connection: Connection, fitted: Sequence[Fitted], spans: Sequence[Sequence[Span] | Longs]
) -> list[Positions]:
    """Read each wearer's positions in each of their stretches of time, which do not overlap; in one statement.

    What several of them look at is read once.
    """
    parts = parts_of(fitted, spans)
    stretches = merged(Stretches(parts.device_id.astype(np.int32), parts.from_us, parts.to_us))
    return cut_all(await read_fixes(connection, stretches), parts)


def parts_of(fitted: Sequence[Fitted], spans: Sequence[Sequence[Span] | Longs]) -> Parts:
    """Give what of each wearer's fittings lies in that wearer's stretches of time."""
    stretches = [np.asarray(of_wearer, np.int64).reshape(-1, 2) for of_wearer in spans]
    return parts_within(
        _starts([one.device_id.size for one in fitted]),
        _one_after_the_other([one.device_id for one in fitted]),
        _one_after_the_other([one.fittings.from_us for one in fitted]),
        _one_after_the_other([one.fittings.to_us for one in fitted]),
        _starts([len(of_wearer) for of_wearer in stretches]),
        np.concatenate([np.empty((0, 2), np.int64), *stretches]),
    )


def cut_all(found: Found, parts: Parts) -> list[Positions]:
    """Give each wearer's positions of what was read."""
    # Some answers come with their columns side by side, for which every kernel would be compiled anew, for seconds.
    values = np.ascontiguousarray(found.values)
    return [Positions(*cut_out(found.device_id, values, parts, wearer)) for wearer in range(parts.starts.size - 1)]


def _starts(sizes: list[int]) -> Longs:
    return np.concatenate(([0], np.cumsum(np.array(sizes, np.int64))))


def _one_after_the_other(columns: list[Longs]) -> Longs:
    return np.concatenate([np.empty(0, np.int64), *columns])
