import numpy as np
import pytest

from matcher.context import Events, Fittings
from matcher.soundness import unsound_us

NO_FIX = np.empty(0, np.int64)


@pytest.mark.parametrize("kind", ["removed", "strap_tamper", "case_tamper"])
def test_a_tag_that_was_opened_is_unsound_until_it_is_fitted(kind: str) -> None:
    told = [(10, kind, 0), (15, "signal_restored", 0), (18, "charging_started", 0), (20, "fitted", 0)]
    assert _unsound(told, fixes=[12, 14]) == [(10, 20)]


@pytest.mark.parametrize("kind", ["battery_flat", "shielding_suspected"])
def test_a_tag_without_power_or_sky_is_unsound_until_it_is_back(kind: str) -> None:
    assert _unsound([(10, kind, 0), (30, "signal_restored", 0)], fixes=[5, 10, 40]) == [(10, 30)]
    assert _unsound([(10, kind, 0), (30, "signal_restored", 0)], fixes=[5, 10, 25]) == [(10, 25)]


def test_charging_ends_a_flat_battery_and_not_shielding() -> None:
    assert _unsound([(10, "battery_flat", 0), (20, "charging_started", 0)]) == [(10, 20)]
    assert _unsound([(10, "shielding_suspected", 0), (20, "charging_started", 0)]) == [(10, 100)]


@pytest.mark.parametrize("kind", ["fitted", "battery_low", "charging_started", "charging_ended", "signal_lost"])
def test_what_says_nothing_against_the_tag_leaves_it_sound(kind: str) -> None:
    assert _unsound([(10, kind, 0)]) == []


def test_another_tag_does_not_mend_one_and_a_fitting_ends_its_doubts() -> None:
    fitted = [(0, 50), (30, 100)]
    assert _unsound([(10, "removed", 0), (30, "fitted", 1)], fitted) == [(10, 50)]
    assert _unsound([(10, "battery_flat", 0)], fitted, fixes=[35], fitting=1) == [(10, 50)]


def test_while_no_tag_was_fitted_nobody_is_vouched_for() -> None:
    assert _unsound([], [(10, 20), (21, 40), (60, 200)]) == [(0, 9), (41, 59)]
    assert _unsound([], [(-50, -1)]) == [(0, 100)]
    assert _unsound([], [(0, 80), (10, 20)]) == [(81, 100)]
    assert _unsound([], []) == [(0, 100)]


def test_only_what_is_asked_for_is_given_and_sorted() -> None:
    told = [(80, "strap_tamper", 0), (-20, "case_tamper", 0), (10, "fitted", 0), (120, "removed", 0)]
    assert _unsound(told) == [(0, 10), (80, 100)]


def test_an_event_of_no_fitting_is_refused() -> None:
    with pytest.raises(ValueError, match="of fitting 3, of 1"):
        _unsound([(10, "removed", 3)])


def _unsound(
    told: list[tuple[int, str, int]],
    fitted: list[tuple[int, int]] | None = None,
    fixes: list[int] | None = None,
    fitting: int = 0,
) -> list[tuple[int, int]]:
    worn = [(-1000, 1000)] if fitted is None else fitted
    columns = np.array(worn, np.int64).reshape(-1, 2)
    fittings = Fittings(columns[:, 0], columns[:, 1], ("",) * len(worn))
    events = Events(
        np.array([at for at, _, _ in told], np.int64),
        tuple(kind for _, kind, _ in told),
        np.array([of for _, _, of in told], np.int32),
    )
    at_us = np.array(fixes or [], np.int64)
    found = unsound_us(fittings, events, at_us, np.full(at_us.size, fitting, np.int32), 0, 100)
    return [(int(start), int(end)) for start, end in found]
