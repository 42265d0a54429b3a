"""A caller of the API that sends again what was not acknowledged, as contractors and forces have to."""

import asyncio
import time
from typing import Any, Self

import httpx

from app.failure import Failure

_PAUSE_S = 0.1
_PATIENCE_S = 300.0
# What an answer means that is worth asking for again: too busy, or something behind the service is away.
LATER = frozenset({429, 500, 502, 503, 504})


class PatientClient:
    """Calls with one key. Each call ends with a good answer; it raises Failure for a bad one, or after five minutes."""

    def __init__(self, address: str, key: str) -> None:
        limits = httpx.Limits(max_connections=16)
        self._client = httpx.AsyncClient(
            base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60.0, limits=limits
        )
        self.repeats = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def post(self, path: str, content: bytes, media_type: str = "application/json") -> Any:  # noqa: ANN401 - JSON
        """Post a body until it is acknowledged."""
        answer = await self._until_answered("POST", path, content=content, headers={"Content-Type": media_type})
        return answer.json()

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Read."""
        return (await self._until_answered("GET", path)).json()

    async def get_text(self, path: str) -> str:
        """Read what is no JSON."""
        return (await self._until_answered("GET", path)).text

    async def get_all(self, noun: str, **query: object) -> list[dict[str, Any]]:
        """Read every record of a list, page by page as its Link header leads."""
        records = list[dict[str, Any]]()
        page: str | None = str(
            httpx.URL(f"/v1/{noun}", params={"limit": "1000", **{k: str(v) for k, v in query.items()}})
        )
        while page is not None:
            answer = await self._until_answered("GET", page)
            records += answer.json()[noun]
            page = answer.links.get("next", {}).get("url")
        return records

    async def _until_answered(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer = await self._client.request(method, path, **request)
                if answer.is_success:
                    return answer
                trouble, is_worth_it = f"{answer.status_code} {answer.text}", answer.status_code in LATER
            except httpx.TransportError as error:
                trouble, is_worth_it = repr(error), True
            if not is_worth_it or time.monotonic() > deadline_s:
                raise Failure(f"{method} {path.partition('?')[0]}: {trouble}")
            self.repeats += 1
            await asyncio.sleep(_PAUSE_S)
