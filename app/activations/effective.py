"""Who wore a device when: what follows from all that its contractor ever said, in whatever order it was said."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import NamedTuple
from uuid import UUID

# What asyncpg writes as infinity. It reads infinity as a datetime without zone, so statements give null instead.
FOREVER = datetime.max.replace(tzinfo=UTC)


class Activation(NamedTuple):
    """One revision of a fitting, as received. `removed_at` is None while the tag is worn."""

    activation_ref: str
    revision: int
    device_id: int
    wearer_id: UUID
    fitted_at: datetime
    removed_at: datetime | None
    is_void: bool

    @property
    def key(self) -> tuple[str, int]:
        """What names this revision."""
        return self.activation_ref, self.revision


class Effective(NamedTuple):
    """A stretch [from_at, to_at) in which one wearer wore a device; to_at is FOREVER while the tag is worn."""

    device_id: int
    from_at: datetime
    to_at: datetime
    wearer_id: UUID
    activation_ref: str
    revision: int
    is_cut_short: bool


class Overlap(NamedTuple):
    """A fitting that was stated to last beyond the next one of its device, and ends there."""

    device_id: int
    activation_ref: str
    revision: int
    stated_to_at: datetime
    cut_at: datetime
    cut_by: str  # the next fitting's activation_ref


def derive(activations: Iterable[Activation]) -> tuple[list[Effective], list[Overlap]]:
    """Derive who wore each device when, sorted by device and time.

    Of each fitting the highest revision counts, wherever it puts the fitting; one taken back, or without duration,
    counts as none. A fitting ends at its removal or at the device's next fitting, whichever is first; of several that
    begin at one moment the last by reference stands. The order of the arguments plays no part.
    """
    newest = {a.activation_ref: a for a in sorted(activations, key=lambda a: a.revision)}
    fittings = sorted(
        (a for a in newest.values() if not a.is_void and a.removed_at != a.fitted_at),
        key=lambda a: (a.device_id, a.fitted_at, a.activation_ref),
    )
    effective: list[Effective] = []
    overlaps: list[Overlap] = []
    for _, of_device in groupby(fittings, key=lambda a: a.device_id):
        worn = list(of_device)
        for fitting, following in zip(worn, [*worn[1:], None], strict=True):
            stretch, overlap = _cut(fitting, following)
            effective += [stretch] if stretch.from_at < stretch.to_at else []
            overlaps += [overlap] if overlap else []
    return effective, overlaps


def _cut(fitting: Activation, following: Activation | None) -> tuple[Effective, Overlap | None]:
    ends_at = stated = fitting.removed_at or FOREVER
    overlap = None
    if following is not None and following.fitted_at < stated:
        ends_at = following.fitted_at
        # A fitting without a removal is ended by the next one as a matter of course; that contradicts nothing.
        if fitting.removed_at is not None:
            overlap = Overlap(
                fitting.device_id,
                fitting.activation_ref,
                fitting.revision,
                fitting.removed_at,
                ends_at,
                following.activation_ref,
            )
    stretch = Effective(
        fitting.device_id,
        fitting.fitted_at,
        ends_at,
        fitting.wearer_id,
        fitting.activation_ref,
        fitting.revision,
        overlap is not None,
    )
    return stretch, overlap


class Handover(NamedTuple):
    """A stretch [from_at, to_at) of a device that has another wearer than before; None is nobody."""

    device_id: int
    from_at: datetime
    to_at: datetime
    before: UUID | None
    after: UUID | None


def find_handovers(before: Sequence[Effective], after: Sequence[Effective]) -> list[Handover]:
    """Compare two derivations: every longest stretch whose wearer differs, by device and time."""
    handovers: list[Handover] = []
    was, now = _by_device(before), _by_device(after)
    for device_id in sorted(was.keys() | now.keys()):
        handovers += _handovers_of(device_id, was.get(device_id, []), now.get(device_id, []))
    return handovers


def _by_device(stretches: Sequence[Effective]) -> dict[int, list[Effective]]:
    of_device: dict[int, list[Effective]] = {}
    for stretch in stretches:
        of_device.setdefault(stretch.device_id, []).append(stretch)
    return of_device


def _handovers_of(device_id: int, was: Sequence[Effective], now: Sequence[Effective]) -> list[Handover]:
    handovers: list[Handover] = []
    instants = sorted({instant for e in (*was, *now) for instant in (e.from_at, e.to_at)})
    for from_at, to_at in pairwise(instants):
        old, new = _wearer_at(was, from_at), _wearer_at(now, from_at)
        if old == new:
            continue
        last = handovers[-1] if handovers else None
        if last and (last.to_at, last.before, last.after) == (from_at, old, new):
            handovers[-1] = last._replace(to_at=to_at)
        else:
            handovers.append(Handover(device_id, from_at, to_at, old, new))
    return handovers


def _wearer_at(stretches: Sequence[Effective], instant: datetime) -> UUID | None:
    return next((e.wearer_id for e in stretches if e.from_at <= instant < e.to_at), None)
