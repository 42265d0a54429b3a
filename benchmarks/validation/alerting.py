"""How many alerts come by chance where so many planted offences are alerted: the plain rule against ours."""

from typing import NamedTuple

import numpy as np

from benchmarks.scenes.plane import Floats
from benchmarks.scenes.world import Flags
from benchmarks.validation.pairs import Pairs


class Threshold(NamedTuple):
    """A rule set so that it alerts a share of the planted offences."""

    chance_alerts: int  # pairs with somebody else that it alerts too
    least: float  # ratio, or metres
    positions: int = 0  # of the plain rule


def of_ratio(pairs: Pairs, planted: Flags, share: float) -> Threshold:
    """Give the likelihood ratio from which so much of the planted offences is alerted.

    With the profile's other conditions, present and for long enough, or without them, where those let too few pass or
    more of the others: the plain rule has its choice of positions, too. Pairs with too little history have no ratio and
    are none of these.
    """
    tried = list[Threshold]()
    for ratio in (np.where(pairs.is_told, pairs.standard.score, 0.0), pairs.standard.score):
        least = float(np.quantile(ratio[planted], 1 - share, method="lower"))
        # From a ratio of 0 on everybody is alerted.
        tried.append(Threshold(int((ratio[~pairs.is_planted] >= least).sum()), least))
    return min(tried)


def of_plain_rule(pairs: Pairs, planted: Flags, share: float) -> Threshold:
    """Give the best plain rule, so many positions within so many metres: of all with that share, the fewest others."""
    others = pairs.nearest_m[~pairs.is_planted]
    tried = list[Threshold]()
    for positions in range(1, pairs.nearest_m.shape[1] + 1):
        radius_m = float(np.quantile(pairs.nearest_m[planted, positions - 1], share, method="higher"))
        tried.append(Threshold(int((others[:, positions - 1] <= radius_m).sum()), radius_m, positions))
    return min(tried)


def of_plain_100m(pairs: Pairs) -> Threshold:
    """Give what any one position within 100 m alerts."""
    return Threshold(int((pairs.nearest_m[~pairs.is_planted, 0] <= 100.0).sum()), 100.0, 1)


def chance_ratio(pairs: Pairs, planted: Flags, share: float) -> float | None:
    """Give the plain rule's chance alerts over ours; None where no offence is planted or we have none."""
    if not planted.any():
        return None
    ours, plain = of_ratio(pairs, planted, share).chance_alerts, of_plain_rule(pairs, planted, share).chance_alerts
    return plain / ours if ours else None


def curve(pairs: Pairs, planted: Flags, shares: Floats) -> tuple[list[int], list[int]]:
    """Give chance alerts, the plain rule's and ours, for each share of planted offences alerted."""
    plain = [of_plain_rule(pairs, planted, share).chance_alerts for share in shares.tolist()]
    return plain, [of_ratio(pairs, planted, share).chance_alerts for share in shares.tolist()]
