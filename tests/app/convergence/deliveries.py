"""Ways in which one history can come: in order and at once, or shuffled, split, merged and repeated."""

from itertools import pairwise
from random import Random
from typing import NamedTuple, TypeVar

from tests.app.convergence.histories import History, Ping, Record


class Pings(NamedTuple):
    """A batch of fixes."""

    pings: list[Ping]


class Activations(NamedTuple):
    """A body of fittings."""

    records: list[Record]


class Events(NamedTuple):
    """A body of device events."""

    records: list[Record]


class Licences(NamedTuple):
    """A body of licences."""

    records: list[Record]


class NextPost(NamedTuple):
    """The next of one of the history's lists of posts."""

    of: int


class Seal(NamedTuple):
    """The closed hours of a day are packed."""

    day: int


class Drop(NamedTuple):
    """A day is packed, and its rows go."""

    day: int


Said = TypeVar("Said")
Delivery = Pings | Activations | Events | Licences | NextPost | Seal | Drop


def in_order(history: History) -> list[Delivery]:
    """Everything once: fittings, fixes by time, events, licences, then the posts."""
    return [
        Activations(history.activations),
        Pings(sorted(history.pings, key=lambda ping: (ping.at_us, ping))),
        Events(history.events),
        Licences(history.licences),
        *(NextPost(of) for of, posts in enumerate(history.posts) for _ in posts),
    ]


def in_disorder(draw: Random, history: History) -> list[Delivery]:
    """The same in any order, bodies split and merged anywhere, some sent twice, days sealed and dropped in between."""
    deliveries: list[Delivery] = [Pings(part) for part in _split(draw, _some_twice(draw, history.pings))]
    deliveries += [Activations(part) for part in _split(draw, _some_twice(draw, history.activations))]
    deliveries += [Events(part) for part in _split(draw, _some_twice(draw, history.events))]
    deliveries += [Licences(part) for part in _split(draw, _some_twice(draw, history.licences))]
    deliveries += [NextPost(of) for of, posts in enumerate(history.posts) for _ in posts]
    days = history.days()
    deliveries += [draw.choice((Seal, Drop))(draw.choice(days)) for _ in range(draw.choice((0, 1, 2)) if days else 0)]
    draw.shuffle(deliveries)
    # All posts at one moment, so that several writers publish side by side; or licences when all else is weighed.
    if last := draw.choice((NextPost, Licences, None)):
        deliveries.sort(key=lambda delivery: isinstance(delivery, last))
    # A day whose rows have gone before its fixes come: forty days late, as it were.
    early = [Drop(draw.choice(days))] if days and draw.random() < 0.5 else []
    place = draw.randrange(len(deliveries) // 2 + 1)
    return [*deliveries[:place], *early, *deliveries[place:]]


def _some_twice(draw: Random, records: list[Said]) -> list[Said]:
    twice = [*records, *(record for record in records if draw.random() < 0.1)]
    draw.shuffle(twice)
    return twice


def _split(draw: Random, records: list[Said]) -> list[list[Said]]:
    """Up to a dozen parts of any size, none empty."""
    cuts = sorted(draw.randrange(len(records)) for _ in range(draw.choice((0, 2, 5, 11)) if records else 0))
    parts = [records[start:end] for start, end in pairwise((0, *cuts, len(records)))]
    return [part for part in parts if part]
