"""How the numbers of the evidence are rounded, before anything is decided by them, stored or shown."""

import math


def probability(value: float) -> float:
    """Round a probability to 1e-4."""
    return round(value, 4)


def metres(value: float) -> float:
    """Round a length in metres to 1 cm."""
    return round(value, 2)


def seconds(value: float) -> float:
    """Round a duration in seconds to a tenth."""
    return round(value, 1)


def speed(value: float) -> float:
    """Round a speed in metres a second to 0.01; infinity stays."""
    return round(value, 2)


def degrees(value: float) -> float:
    """Round a direction to whole degrees from 0 to 359."""
    return float(round(value) % 360)


def ratio(value: float) -> float:
    """Round a ratio to three digits; 0 and infinity stay."""
    if value == 0 or math.isinf(value):
        return value
    return round(value, 2 - math.floor(math.log10(abs(value))))
