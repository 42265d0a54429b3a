"""Why an alert was revised, in a sentence for people: what came in, and what that moved."""

from typing import Any, Final, NamedTuple

Json = dict[str, Any]


class Weighing(NamedTuple):
    """The evidence of a match, and of which version of the incident by which settings."""

    incident_version: int
    profile: str  # name and version
    evidence: Json | None  # None: nothing places the wearer there


def why(before: Weighing, after: Weighing, causes: tuple[str, ...], changed: list[str]) -> str:
    """Say what led from one weighing to the next, and what it moved.

    As in "Later pings moved the probability from 0.62 to 0.03 and the verdict from present to possible."
    """
    cause = _joined(_causes(before, after, causes))
    if after.evidence is None:
        return f"{cause} left nothing that places the wearer there."
    if before.evidence is None:
        return f"{cause} brought the match back."
    moves = [move for words, path in _PARTS if (move := _move(words, path, before.evidence, after.evidence))]
    if moves:
        return f"{cause} moved {_joined(moves)}."
    return f"{cause} changed {_joined([_name(part) for part in changed])}." if changed else f"{cause} came."


_CAUSES: Final = {
    "pings": "Later pings",
    "fittings": "a new or corrected activation",
    "device_events": "a device event",
    "licences": "a new or corrected licence",
}


def _causes(before: Weighing, after: Weighing, causes: tuple[str, ...]) -> list[str]:
    said = [words for cause, words in _CAUSES.items() if cause in causes]
    if before.incident_version != after.incident_version:
        said.append(f"the amended incident (version {before.incident_version} to {after.incident_version})")
    if before.profile != after.profile:
        said.append(f"another profile ({before.profile} to {after.profile})")
    said = said or ["a new evaluation"]
    return [said[0][0].upper() + said[0][1:], *said[1:]]


# The parts of the evidence that a person would name, in this order, and where they stand in its JSON.
_PARTS: Final = (
    ("the probability", ("inside", "highest")),
    ("the verdict", ("verdict",)),
    ("positions inside", ("n_pings",)),
    ("the nearest position (m)", ("min_dist_m",)),
    ("seconds inside", ("inside_s",)),
    ("the likelihood ratio", ("chance", "ratio")),
)


def _name(part: str) -> str:
    return "whether the window meets the licence" if part == "on_licence" else part.replace("_", " ")


def _move(words: str, path: tuple[str, ...], before: Json, after: Json) -> str | None:
    was, now = _at(before, path), _at(after, path)
    return None if was == now else f"{words} from {_said(was, now)} to {_said(now, was)}"


def _at(evidence: Json, path: tuple[str, ...]) -> object:
    value: Any = evidence
    for name in path:
        value = value.get(name) if value is not None else None
    return value


def _said(value: object, beside: object) -> str:
    """Give a value in words; a number with as many decimals as tell it from the other one."""
    if isinstance(value, float) and isinstance(beside, float):
        return next((said for n in (2, 4) if (said := f"{value:.{n}f}") != f"{beside:.{n}f}"), str(value))
    return "none" if value is None else str(value)


def _joined(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
