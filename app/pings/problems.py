"""What can be wrong with a ping on the wire: one code for each rule, and which rows break it."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Code = Literal[
    "missing_field",
    "wrong_type",
    "out_of_range",
    "null_island",
    "in_future",
    "before_retention",
    "time_without_zone",
    "two_times",
    "unknown_source",
    "negative",
    "not_json",
]

Bools = NDArray[np.bool_]


class RowProblem(NamedTuple):
    """One row that breaks one rule."""

    line: int  # from 1
    pointer: str  # JSON Pointer within the row
    code: Code
    message: str  # never quotes the value: that is personal data


class Problems:
    """The problems of N rows, gathered column by column: the first of each field of each row."""

    def __init__(self, count: int) -> None:
        self.is_bad: Bools = np.zeros(count, np.bool_)  # (N,)
        self._found: list[tuple[Bools, str, Code, str]] = []

    def add(self, is_bad: Bools, pointer: str, code: Code, message: str) -> None:
        """Say of the rows that are true in `is_bad`, (N,), that they break this rule.

        It says nothing about a row that has a problem with this field already, or with itself as a whole.
        """
        if not is_bad.any():
            return
        is_new = is_bad & ~self.at(pointer) & ~self.at("")
        if is_new.any():
            self._found.append((is_new, pointer, code, message))
            self.is_bad |= is_new

    def at(self, pointer: str) -> Bools:
        """Which rows, (N,), have a problem with this field so far; with the row as a whole if it is empty."""
        is_bad = np.zeros_like(self.is_bad)
        for is_found, found_at, _, _ in self._found:
            if found_at == pointer:
                is_bad |= is_found
        return is_bad

    def listed(self) -> list[RowProblem]:
        """Every problem, by line, and within a line in the order in which the rules were looked at."""
        each = [
            RowProblem(row + 1, pointer, code, message)
            for is_found, pointer, code, message in self._found
            for row in np.flatnonzero(is_found).tolist()
        ]
        return sorted(each, key=lambda problem: problem.line)
