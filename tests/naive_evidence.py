"""The oracles of the evidence: each formula again, slowly, from its definition. Shares no code with what it judges."""

from mpmath import mp, mpf

mp.dps = 18


def inside_probability(distance_m: float, radius_m: float, sigma_m: float) -> float:
    """The normal density over the circle, integrated by mpmath in strips along the line to the centre."""
    away, radius = mpf(distance_m) / mpf(sigma_m), mpf(radius_m) / mpf(sigma_m)

    def strip(angle: mpf) -> mpf:
        half = radius * mp.cos(angle)
        across = radius * mp.sin(angle)
        return mp.npdf(across) * (mp.ncdf(half - away) - mp.ncdf(-half - away)) * half

    # Strips further than 8 standard deviations off weigh less than 1e-14.
    widest = mp.asin(min(radius, mpf(8)) / radius)
    return float(2 * mp.quad(strip, [0, widest / 4, widest]))
