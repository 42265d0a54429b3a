"""The derivation: a pure function, against a model that asks of each instant who wore the device."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.activations.effective import FOREVER, Activation, derive, find_handovers

START = datetime(2026, 1, 1, tzinfo=UTC)
WEARERS = [UUID(int=number) for number in range(3)]


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@st.composite
def fittings(draw: st.DrawFn) -> Activation:
    fitted = draw(st.integers(0, 12))
    lasts = draw(st.none() | st.integers(0, 12))
    return Activation(
        activation_ref=draw(st.sampled_from("abcdef")),
        revision=draw(st.integers(1, 3)),
        device_id=draw(st.integers(1, 2)),
        wearer_id=draw(st.sampled_from(WEARERS)),
        fitted_at=at(fitted),
        removed_at=None if lasts is None else at(fitted + lasts),
        is_void=draw(st.sampled_from([False, False, False, True])),
    )


received = st.lists(fittings(), max_size=12, unique_by=lambda a: (a.activation_ref, a.revision))


def worn_by(activations: list[Activation], device_id: int, instant: datetime) -> UUID | None:
    """Of the fittings that count and have begun, the last to begin decides, and only it."""
    begun = []
    for activation in activations:
        overruled = any(
            other.activation_ref == activation.activation_ref and other.revision > activation.revision
            for other in activations
        )
        is_empty = activation.removed_at == activation.fitted_at
        if overruled or activation.is_void or is_empty or activation.device_id != device_id:
            continue
        if activation.fitted_at <= instant:
            begun.append((activation.fitted_at, activation.activation_ref, activation))
    if not begun:
        return None
    last = max(begun)[2]
    return None if last.removed_at is not None and last.removed_at <= instant else last.wearer_id


@given(received)
def test_at_every_instant_the_wearer_is_the_models(activations: list[Activation]) -> None:
    effective, _ = derive(activations)
    for device_id in (1, 2):
        for half_hour in range(60):
            instant = at(half_hour / 2)
            wearers = [e.wearer_id for e in effective if e.device_id == device_id and e.from_at <= instant < e.to_at]
            model = worn_by(activations, device_id, instant)
            assert wearers == ([] if model is None else [model])


@given(received, st.randoms(use_true_random=False))
def test_the_order_in_which_they_came_plays_no_part(activations: list[Activation], random: Random) -> None:
    shuffled = list(activations)
    random.shuffle(shuffled)
    assert derive(shuffled) == derive(activations)


@given(received)
def test_stretches_of_a_device_are_not_empty_and_do_not_meet(activations: list[Activation]) -> None:
    effective, _ = derive(activations)
    for before, after in pairwise(effective):
        assert before.device_id < after.device_id or before.to_at <= after.from_at
    assert all(e.from_at < e.to_at for e in effective)


@given(received, received)
def test_handovers_are_where_the_wearer_differs_and_only_there(
    first: list[Activation], second: list[Activation]
) -> None:
    handovers = find_handovers(derive(first)[0], derive(second)[0])
    for device_id in (1, 2):
        for half_hour in range(60):
            instant = at(half_hour / 2)
            old, new = worn_by(first, device_id, instant), worn_by(second, device_id, instant)
            found = [(h.before, h.after) for h in handovers if h.device_id == device_id]
            covering = [
                (h.before, h.after) for h in handovers if h.device_id == device_id and h.from_at <= instant < h.to_at
            ]
            assert covering == ([] if old == new else [(old, new)]), found


def test_a_later_fitting_cuts_one_that_claims_to_last_longer_and_that_is_reported() -> None:
    first = Activation("a", 1, 1, WEARERS[0], at(0), at(10), is_void=False)
    second = Activation("b", 1, 1, WEARERS[1], at(4), None, is_void=False)
    effective, overlaps = derive([first, second])
    assert [(e.from_at, e.to_at, e.is_cut_short) for e in effective] == [
        (at(0), at(4), True),
        (at(4), FOREVER, False),
    ]
    assert [(o.activation_ref, o.stated_to_at, o.cut_at, o.cut_by) for o in overlaps] == [("a", at(10), at(4), "b")]


def test_an_open_fitting_ended_by_the_next_contradicts_nothing() -> None:
    first = Activation("a", 1, 1, WEARERS[0], at(0), None, is_void=False)
    second = Activation("b", 1, 1, WEARERS[1], at(4), None, is_void=False)
    effective, overlaps = derive([first, second])
    assert (effective[0].to_at, effective[0].is_cut_short, overlaps) == (at(4), False, [])


def test_a_fitting_without_duration_cuts_nothing() -> None:
    first = Activation("a", 1, 1, WEARERS[0], at(0), None, is_void=False)
    second = Activation("b", 1, 1, WEARERS[1], at(4), at(4), is_void=False)
    assert [e.to_at for e in derive([first, second])[0]] == [FOREVER]
