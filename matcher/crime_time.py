"""When a crime happened: the density of its moment over the reported window and the padding."""

from typing import Final, NamedTuple

from geo.jit import kernel

_HOUR_US: Final = 3_600_000_000
_HALF_HOUR_US: Final = 1_800_000_000
# A report is never finer than a second.
_LEAST_US: Final = 500_000


class CrimeTime(NamedTuple):
    """Density of the crime's moment: 0 at `start`, rising to `from`, even until `to`, falling to 0 at `end`.

    The aoristic weight (J. H. Ratcliffe, Journal of Quantitative Criminology 18, 23, 2002) with slopes, because a
    reported window has an error itself. Microseconds since 1970 UTC; start <= from <= to <= end and start < end.
    """

    start_us: int
    from_us: int
    to_us: int
    end_us: int


def crime_time(from_us: int, to_us: int, padding_us: int) -> CrimeTime:
    """Give the density of a crime reported from-to with padding on both sides.

    A moment on the full hour is taken for rounded: half an hour is added on both sides before the padding.

    Raises ValueError if the window ends before it starts or the padding is negative.
    """
    if to_us < from_us:
        raise ValueError(f"the window ends before it starts, by {from_us - to_us} us")
    if padding_us < 0:
        raise ValueError(f"the padding is negative: {padding_us} us")
    if from_us == to_us and from_us % _HOUR_US == 0:
        from_us, to_us = from_us - _HALF_HOUR_US, to_us + _HALF_HOUR_US
    elif from_us == to_us and padding_us == 0:
        from_us, to_us = from_us - _LEAST_US, to_us + _LEAST_US
    return CrimeTime(from_us - padding_us, from_us, to_us, to_us + padding_us)


def highest_per_s(when: CrimeTime) -> float:
    """Give the highest density, that of the reported window itself, per second."""
    return 2e6 / (when.to_us - when.from_us + when.end_us - when.start_us)


@kernel
def density_per_s(when: CrimeTime, after_s: float) -> float:
    """Give the density so many seconds after the start, per second; its integral from 0 to the end is 1."""
    rise_s, fall_s = (when.from_us - when.start_us) / 1e6, (when.end_us - when.to_us) / 1e6
    left_s = (when.end_us - when.start_us) / 1e6 - after_s
    highest = 1 / (after_s + left_s - (rise_s + fall_s) / 2)
    if after_s < rise_s:
        return highest * max(after_s, 0.0) / rise_s
    if left_s < fall_s:
        return highest * max(left_s, 0.0) / fall_s
    return highest


@kernel
def share_before(when: CrimeTime, after_s: float) -> float:
    """Give the probability that the crime happened before so many seconds after the start, from 0 to the end."""
    rise_s, fall_s = (when.from_us - when.start_us) / 1e6, (when.end_us - when.to_us) / 1e6
    length_s = (when.end_us - when.start_us) / 1e6
    highest = 1 / (length_s - (rise_s + fall_s) / 2)
    if after_s < rise_s:
        return highest * after_s * after_s / (2 * rise_s)
    left_s = length_s - after_s
    if left_s < fall_s:
        return 1 - highest * left_s * left_s / (2 * fall_s)
    return highest * (after_s - rise_s / 2)
