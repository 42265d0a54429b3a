"""What contractors and operators say of accuracies and places comes through to the evidence."""

from dataclasses import replace

import pytest

from app.db import Pool
from matcher.profile import STANDARD, Accuracy
from tests.app.matching.world import Fix, World

HOUSE = replace(STANDARD, name="house", accuracy=Accuracy(levels={"Tags gps": 0.68, "Others gps": 0.5, "gps": 0.9}))
MEDIAN_R95 = "SELECT (evidence->'quality'->>'median_r95_m')::float8 FROM match"
HIGHEST = "SELECT highest FROM match"


async def weighed(
    pool: Pool, statement: str, profile: str, accuracy_m: float | None = 20.0, position_r95_m: float | None = None
) -> float:
    """One who is seen once, 45 m from the place, by a tag of the world's contractor, whose code is Tags."""
    world = World(pool)
    await world.found(HOUSE if profile == "house" else STANDARD)
    device, _ = await world.worn_device("W1")
    await world.crime("C1", profile=profile, position_r95_m=position_r95_m)
    await world.pings(device, Fix(0, 45), accuracy_m=accuracy_m)
    await world.settle()
    return float(await pool.fetchval(statement))


# The length of a normal error in two axes: a share p lies within sigma times the square root of -2 ln(1 - p).
@pytest.mark.parametrize(("profile", "r95_m"), [("standard", 20.0), ("house", 20.0 * 2.4477 / 1.5096)])
async def test_a_stated_accuracy_holds_as_many_positions_as_the_profile_says_of_its_contractor(
    pool: Pool, profile: str, r95_m: float
) -> None:
    assert await weighed(pool, MEDIAN_R95, profile) == pytest.approx(r95_m, abs=0.01)


@pytest.mark.parametrize(("accuracy_m", "r95_m"), [(0.0, 30.0), (None, 300.0)])
async def test_an_accuracy_of_zero_or_none_takes_the_default_of_its_source(
    pool: Pool, accuracy_m: float | None, r95_m: float
) -> None:
    assert await weighed(pool, MEDIAN_R95, "house", accuracy_m) == pytest.approx(r95_m, abs=0.01)


@pytest.mark.parametrize(
    ("position_r95_m", "expected"),
    [
        # scipy.stats.ncx2(2, 45² / s²).cdf(50² / s²), where s² is the sum of the two variances.
        (None, 0.6216),
        (100.0, 0.3431),
    ],
)
async def test_the_uncertainty_of_the_place_is_added_once(
    pool: Pool, position_r95_m: float | None, expected: float
) -> None:
    assert await weighed(pool, HIGHEST, "standard", position_r95_m=position_r95_m) == pytest.approx(expected, abs=2e-3)
