"""A probation region that manages two people, and what it posts of their licences."""

from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from tests.app.conftest import MakeKey

Post = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture
async def north(make_key: MakeKey, service: httpx.AsyncClient) -> dict[str, str]:
    key = await make_key("north", "probation", "wearers:write", "wearers:read")
    answer = await service.post("/v1/wearers", json=[{"reference": "W1"}, {"reference": "W2"}], headers=key)
    assert answer.status_code == 200, answer.text
    return key


@pytest.fixture
def post(service: httpx.AsyncClient, north: dict[str, str]) -> Post:
    """Post licences as this region, or as somebody else; gives the answer's body."""

    async def _post(body: Any, key: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        answer = await service.post("/v1/licences", json=body, headers=key or north)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return _post
