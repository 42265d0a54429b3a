"""The examples of the API are what the service gives."""

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, get_args, get_type_hints

import pytest

from app.matching.chance_schemas import EXAMPLE as CHANCE_EXAMPLE
from app.matching.clock import clock_for
from app.matching.examples import EVIDENCE_EXAMPLE, SAID_EXAMPLE
from app.times import to_us
from matcher.context import Incident
from matcher.evidence import ALGORITHM, SCHEMA, Evidence
from matcher.profile import STANDARD
from matcher.sentence import Said, ordinary_sentences, sentences
from matcher.weigh import evaluate
from tests.matcher.cases import CRIME_US, LAT_DEG, LON_DEG, Row, context, elsewhere, history

TWO_US = to_us(datetime(2026, 3, 14, 2, tzinfo=UTC))


def example_evidence() -> Evidence:
    """Eleven minutes at a burglary, the way there from the south and away to the north, ninety nights elsewhere."""
    moved_s = (TWO_US - CRIME_US) / 1e6

    def at(minute: int) -> Row:
        # Minutes after two; 70 m a minute on foot, and some metres to and fro meanwhile.
        there = min(max(minute, 11), 22)
        return (moved_s + 60.0 * minute, 6.0 + there % 3, 70.0 * (minute - there) + 5 + there % 4, 12.0, 1)

    rows = [at(minute) for minute in range(-30, 61)]
    nights = [(moved_s + at_s, x_m, y_m, r95_m, source) for at_s, x_m, y_m, r95_m, source in elsewhere()]
    incident = Incident(LON_DEG, LAT_DEG, "BIAD", TWO_US, TWO_US + 30 * 60_000_000)
    known = context(rows, events=[(moved_s + 36 * 60, "battery_low")], history=history(nights, STANDARD))
    evidence = evaluate(known, incident, STANDARD)
    assert evidence is not None
    return evidence


def test_the_evidence_and_its_words_are_those_of_such_a_burglary() -> None:
    evidence = example_evidence()
    assert evidence.as_json() == EVIDENCE_EXAMPLE
    assert sentences(evidence, clock_for(evidence.from_us, evidence.to_us))._asdict() == SAID_EXAMPLE
    assert ordinary_sentences(evidence.history, evidence.chance) == CHANCE_EXAMPLE["said"]


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
