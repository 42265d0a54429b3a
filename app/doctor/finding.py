"""What the doctor found: one thing that was looked at, how it is, and what to do if it is not well."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How a thing is."""

    WELL = "well"
    DOUBTFUL = "doubtful"  # works, but somebody should know
    ILL = "ill"  # does not work, or something may be lost


class Finding(NamedTuple):
    """One thing that was looked at."""

    about: str
    state: State
    found: str
    advice: str = ""  # what to do; empty where all is well


def well(about: str, found: str) -> Finding:
    """All is as it should be."""
    return Finding(about, State.WELL, found)


def doubtful(about: str, found: str, advice: str) -> Finding:
    """It works, but somebody should know."""
    return Finding(about, State.DOUBTFUL, found, advice)


def ill(about: str, found: str, advice: str) -> Finding:
    """It does not work, or something may be lost."""
    return Finding(about, State.ILL, found, advice)
