"""The verdict on one wearer and one incident, and how much of the window it is founded on."""

from typing import Final, NamedTuple

import numpy as np

from geo.jit import kernel
from matcher import rounding
from matcher.evidence import Reached
from matcher.fixes import Fixes
from matcher.presence import Presence
from matcher.trails import Longs

PRESENT: Final = "present"
POSSIBLE: Final = "possible"
EXCLUDED: Final = "excluded"
CANNOT_SAY: Final = "cannot_say"

# From this probability on somebody is present.
_PRESENT_FROM: Final = 0.5


class Coverage(NamedTuple):
    """How much of a window with its padding is known."""

    fixes: int  # in the window
    share: float  # of the window that lies between two fixes near enough to each other, 0 to 1
    longest_gap_s: float  # the longest part of the window without a fix


def coverage(fixes: Fixes, found: Presence, from_us: int, to_us: int) -> Coverage:
    """Give the coverage of a window by fixes (those not set aside), of which `presence` is found.

    A moment near one fix only is not covered: where the wearer was then is not known on one side. A window of no
    length is covered if a fix lies in it.

    Raises ValueError if the window ends before it starts.
    """
    if to_us < from_us:
        raise ValueError(f"the window ends before it starts, by {from_us - to_us} us")
    count, longest_us = _longest_gap(fixes.fixed_at_us, from_us, to_us)
    length_s = (to_us - from_us) / 1e6
    return Coverage(
        fixes=count,
        share=min(found.covered_s / length_s, 1.0) if length_s > 0 else float(count > 0),
        longest_gap_s=longest_us / 1e6,
    )


@kernel
def _longest_gap(time_us: Longs, from_us: int, to_us: int) -> tuple[int, int]:
    """Give how many of sorted times lie between two others, and the longest way from any of these to the next."""
    first, end = int(np.searchsorted(time_us, from_us)), int(np.searchsorted(time_us, to_us, "right"))
    before_us, longest_us = from_us, 0
    for row in range(first, end):
        longest_us = max(longest_us, time_us[row] - before_us)
        before_us = time_us[row]
    return end - first, max(longest_us, to_us - before_us)


def verdict(found: Presence, covered: Coverage, reached: Reached) -> str:
    """Say which of the four verdicts stands.

    PRESENT where the highest probability, rounded, is at least 0.5. Else EXCLUDED where presence would have needed more
    than the highest speed; that cannot be said where strap, power or activation is in doubt. Else POSSIBLE, but
    CANNOT_SAY where the window holds neither a fix nor a stretch between two.
    """
    if rounding.probability(found.highest) >= _PRESENT_FROM:
        return PRESENT
    if reached.is_excluded:
        return EXCLUDED if reached.is_sound else CANNOT_SAY
    return POSSIBLE if covered.fixes or covered.share > 0 else CANNOT_SAY
