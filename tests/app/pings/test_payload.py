"""Packed pings."""

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db import Connection
from app.pings.payload import PING, pack, unpack
from tests.app.pings.conftest import ping


@given(st.integers(0, 50), st.integers(0, 2**32 - 1))
def test_packed_pings_come_back_as_they_were(count: int, seed: int) -> None:
    drawn = np.random.default_rng(seed).integers(0, 256, count * PING.itemsize, np.uint8)
    pings = np.frombuffer(drawn.tobytes(), PING)
    assert unpack(pack(pings)).tobytes() == pings.tobytes()


def test_a_packed_ping_has_34_bytes_and_a_version() -> None:
    assert len(pack(np.zeros(10, PING))) == 1 + 10 * 34


@pytest.mark.parametrize("payload", [b"", b"\x02" + bytes(34), b"\x01" + bytes(33)])
def test_what_this_version_cannot_read_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"version|size"):
        unpack(payload)


async def test_a_batch_waits_in_the_inbox_as_it_is(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    much = [ping(fixed_at=f"2024-03-01T{hour:02}:{minute:02}:00Z") for hour in range(8) for minute in range(60)]
    assert (await service.post("/v1/pings", json=much, headers=key)).json()["accepted"] == len(much)
    stored = await connection.fetchrow(
        "SELECT length(payload), pg_column_size(payload), pg_column_compression(payload) FROM ping_batch"
    )
    length = 1 + PING.itemsize * len(much)
    assert stored is not None
    assert tuple(stored) == (length, length, None)
