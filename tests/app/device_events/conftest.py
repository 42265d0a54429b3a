"""A contractor that has fitted a tag, and what it posts."""

from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from tests.app.conftest import MakeKey
from tests.app.device_events.examples import a_fitting

Post = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture
async def gps(make_key: MakeKey, service: httpx.AsyncClient) -> dict[str, str]:
    key = await make_key("gps", "contractor", "devices:write", "devices:read")
    answer = await service.post("/v1/activations", json=a_fitting(), headers=key)
    assert answer.status_code == 200, answer.text
    return key


@pytest.fixture
def post(service: httpx.AsyncClient, gps: dict[str, str]) -> Post:
    """Post events as this contractor, or as another; gives the answer's body."""

    async def _post(body: Any, key: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        answer = await service.post("/v1/device-events", json=body, headers=key or gps)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return _post
