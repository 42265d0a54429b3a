"""Records that are never changed: a correction is a higher revision of the same reference, and the highest counts."""

from collections.abc import Mapping
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from app.rows import RowError

Outcome = Literal["stored", "duplicate"]


class Revised(Protocol):
    """One revision of a record; two are equal if everything in them is."""

    @property
    def key(self) -> tuple[str, int]:
        """Its reference and its revision."""


AnyRevised = TypeVar("AnyRevised", bound=Revised)


class SortedOut(NamedTuple, Generic[AnyRevised]):
    """What becomes of posted revisions."""

    outcomes: dict[int, Outcome]  # by line, of those that are not errors
    errors: list[RowError]
    new: list[AnyRevised]


def sort_out(posted: Mapping[int, AnyRevised], known: Mapping[tuple[str, int], AnyRevised]) -> SortedOut[AnyRevised]:
    """Tell new revisions from repeated ones and from those that contradict what was received before.

    `posted` is by line and `known` by key. Of several in `posted` with one key, the first counts as received before.
    """
    outcomes: dict[int, Outcome] = {}
    errors: list[RowError] = []
    new: dict[tuple[str, int], AnyRevised] = {}
    for line, record in posted.items():
        before = known.get(record.key) or new.get(record.key)
        if before is None:
            outcomes[line], new[record.key] = "stored", record
        elif before == record:
            outcomes[line] = "duplicate"
        else:
            errors.append(_conflict(line))
    return SortedOut(outcomes, errors, list(new.values()))


def _conflict(line: int) -> RowError:
    return RowError(
        line=line,
        pointer="/revision",
        code="revision_conflict",
        message="this revision was received before with another content",
        required_action="Send the correction with a higher revision.",
    )
