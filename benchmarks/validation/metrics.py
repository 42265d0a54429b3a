"""Figures of merit: how well a score tells two kinds apart, and how true probabilities and likelihood ratios are."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def pr_auc(score: Floats, is_true: Flags) -> float:
    """Give the area under precision over recall, as average precision: Σ (R_k − R_(k−1))·P_k over falling scores.

    (M. Zhu, Recall, precision and average precision, University of Waterloo, 2004.) Equal scores are one step. NaN
    where nothing is true.
    """
    order = np.argsort(-score, kind="stable")
    true = np.cumsum(is_true[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), score.size - 1)
    if score.size == 0 or true[-1] == 0:
        return float("nan")
    precision, recall = true[last] / (last + 1), true[last] / true[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


class Bins(NamedTuple):
    """Predictions in bins of equal count, by rising prediction."""

    predicted: Floats  # mean of the bin
    observed: Floats  # share that came true
    pairs: NDArray[np.int64]


def bins_of(predicted: Floats, came_true: Flags, count: int = 10) -> Bins:
    """Put predictions into bins of equal count. Raises ValueError if there are fewer than bins."""
    if predicted.size < count:
        raise ValueError(f"{predicted.size} predictions do not fill {count} bins")
    parts = np.array_split(np.argsort(predicted, kind="stable"), count)
    return Bins(
        np.array([predicted[part].mean() for part in parts]),
        np.array([came_true[part].mean() for part in parts]),
        np.array([part.size for part in parts]),
    )


def ece(bins: Bins) -> float:
    """Give the expected calibration error: the mean over all predictions of how far their bin is off.

    (M. P. Naeini, G. Cooper and M. Hauskrecht, AAAI 29, 2901, 2015.)
    """
    return float(np.average(np.abs(bins.predicted - bins.observed), weights=bins.pairs))


def worst_bin(bins: Bins, least_pairs: int = 100) -> float:
    """Give how far the worst bin with so many pairs is off; NaN where none has."""
    off = np.abs(bins.predicted - bins.observed)[bins.pairs >= least_pairs]
    return float(off.max()) if off.size else float("nan")


def cllr(ratios_true: Floats, ratios_chance: Floats) -> float:
    """Give the log-likelihood-ratio cost: ½·(mean log₂(1 + 1/LR) where it is so + mean log₂(1 + LR) where not).

    (N. Brümmer and J. du Preez, Computer Speech and Language 20, 230, 2006.) 0 is perfect, 1 is what saying nothing
    costs, a true offence with LR 0 costs infinity. NaN where there is none of either.
    """
    if ratios_true.size == 0 or ratios_chance.size == 0:
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(np.mean(np.log2(1 + 1 / ratios_true)) + np.mean(np.log2(1 + ratios_chance))) / 2
