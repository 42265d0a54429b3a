"""The examples of the API have the form that the service gives."""

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import pytest

from app.matching.examples import EVIDENCE_EXAMPLE, SAID_EXAMPLE
from matcher.evidence import ALGORITHM, SCHEMA, Evidence
from matcher.sentence import Said


def parts_of(kind: Any) -> list[Any]:  # noqa: ANN401 - a type
    """The dataclasses that a type is, holds, or may be."""
    return [kind] if is_dataclass(kind) else [part for held in get_args(kind) for part in parts_of(held)]


def names_of(kind: Any) -> set[str]:  # noqa: ANN401 - a dataclass
    return {_shown(field.name) for field in fields(kind)} - {"is_candidate"}


def _shown(name: str) -> str:
    return name.removesuffix("_us") + "_at" if name.endswith("_us") and name != "at_us" else name.removesuffix("_us")


def test_the_evidence_has_every_part_and_no_other() -> None:
    assert set(EVIDENCE_EXAMPLE) == names_of(Evidence) | {"schema", "algorithm"}
    assert (EVIDENCE_EXAMPLE["schema"], EVIDENCE_EXAMPLE["algorithm"]) == (SCHEMA, ALGORITHM)


@pytest.mark.parametrize("name", ["stays", "quality", "inside", "reach", "coverage", "events", "chance"])
def test_each_part_has_every_number_and_no_other(name: str) -> None:
    (kind,) = parts_of(get_type_hints(Evidence)[name])
    shown = EVIDENCE_EXAMPLE[name]
    for each in shown if isinstance(shown, list) else [shown]:
        assert set(each) == names_of(kind)


def test_the_words_have_every_part() -> None:
    assert set(SAID_EXAMPLE) == set(Said._fields)
