import pytest

from app.db import Pool
from tests.app.matching.world import World


@pytest.fixture
async def world(pool: Pool) -> World:
    made = World(pool)
    await made.found()
    return made
