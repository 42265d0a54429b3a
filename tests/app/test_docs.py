import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import docs
from app.access.viewer import SCOPES
from tests.app.conftest import MakeKey

Json = Any


@pytest.fixture
async def key(make_key: MakeKey) -> dict[str, str]:
    return await make_key("gps", "contractor", "pings:write")


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/assets/docs.js"])
async def test_the_description_needs_a_key_of_any_scope(
    service: httpx.AsyncClient, key: dict[str, str], path: str
) -> None:
    assert (await service.get(path)).status_code == 401
    assert (await service.get(path, headers=key)).status_code == 200


async def test_a_browser_signs_in_with_the_key_as_password(service: httpx.AsyncClient, key: dict[str, str]) -> None:
    secret = key["Authorization"].removeprefix("Bearer ")
    assert (await service.get("/docs", auth=("any name", secret))).status_code == 200


async def test_basic_credentials_which_a_browser_sends_by_itself_change_nothing(
    service: httpx.AsyncClient, make_key: MakeKey
) -> None:
    key = await make_key("met", "force", "incidents:write")
    secret = key["Authorization"].removeprefix("Bearer ")
    assert (await service.post("/v1/incidents", json=[], auth=("x", secret))).status_code == 401


async def test_the_page_loads_nothing_from_elsewhere(service: httpx.AsyncClient, key: dict[str, str]) -> None:
    answer = await service.get("/docs", headers=key)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert set(" ".join(policy.values()).split()) <= {"'none'", "'self'", "data:"}
    addresses = re.findall(r'(?:src|href)="([^"]*)"', answer.text)
    assert not [address for address in addresses if "//" in address]
    for name in ("docs.js", "swagger-ui.css"):
        text = (await service.get(f"/docs/assets/{name}", headers=key)).text
        assert not re.findall(r"""(?:@import|url\(\s*["']?(?!data:|#)\w|fetch\()""", text)
    assert "http" not in (await service.get("/docs/assets/docs.js", headers=key)).text


@pytest.mark.skipif(not all(path.exists() for path, _ in docs.ASSETS.values()), reason="run `make assets` first")
async def test_everything_that_the_page_asks_for_is_there(service: httpx.AsyncClient, key: dict[str, str]) -> None:
    page = (await service.get("/docs", headers=key)).text
    for address in re.findall(r'(?:src|href)="(docs/[^"]*)"', page):
        answer = await service.get(f"/{address}", headers=key)
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] in {"text/css", "text/javascript"}
        assert "immutable" in answer.headers["cache-control"]


@pytest.mark.skipif(not all(path.exists() for path, _ in docs.ASSETS.values()), reason="run `make assets` first")
async def test_a_file_with_another_content_has_another_address(
    service: httpx.AsyncClient, key: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    [before] = re.findall(r'"(docs/assets/docs\.js[^"]*)"', (await service.get("/docs", headers=key)).text)
    (tmp_path / "docs.js").write_text("changed")
    monkeypatch.setitem(docs.ASSETS, "docs.js", (tmp_path / "docs.js", "text/javascript"))
    [after] = re.findall(r'"(docs/assets/docs\.js[^"]*)"', (await service.get("/docs", headers=key)).text)
    assert before != after
    # Who still has the old page gets the new content, and does not keep it under the old address.
    answer = await service.get(f"/{before}", headers=key)
    assert (answer.text, answer.headers["cache-control"]) == ("changed", "private, no-cache")


async def test_an_unbuilt_page_says_how_to_build_it(
    service: httpx.AsyncClient, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, media_type = docs.ASSETS["swagger-ui.css"]
    monkeypatch.setitem(docs.ASSETS, "swagger-ui.css", (path.with_name("absent.css"), media_type))
    assert "make assets" in (await service.get("/docs", headers=key)).text
    assert (await service.get("/docs/assets/swagger-ui.css", headers=key)).status_code == 404


@pytest.mark.parametrize("name", ["nothing.js", "..%2f..%2fpackage.json", "%2e%2e/package.json"])
async def test_no_other_file_is_served(service: httpx.AsyncClient, key: dict[str, str], name: str) -> None:
    assert (await service.get(f"/docs/assets/{name}", headers=key)).status_code == 404


async def test_the_description_says_of_every_endpoint_but_liveness_which_key_it_needs(
    service: httpx.AsyncClient, key: dict[str, str]
) -> None:
    described = (await service.get("/openapi.json", headers=key)).json()
    assert described["openapi"].startswith("3.1")
    needed = {path: o.get("security") for path, each in described["paths"].items() for o in each.values()}
    assert needed.pop("/health/liveness") is None
    for security in needed.values():
        [[scheme, scopes]] = security[0].items()
        assert (scheme, set(scopes) <= SCOPES) == ("key", True)
    assert needed["/metrics"] == [{"key": ["metrics:read"]}]


async def test_every_error_is_described_as_a_problem_and_every_reference_leads_somewhere(
    service: httpx.AsyncClient, key: dict[str, str]
) -> None:
    answer = await service.get("/openapi.json", headers=key)
    described: Json = answer.json()
    for operations in described["paths"].values():
        for operation in operations.values():
            assert "422" not in operation["responses"]
            assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', answer.text))
    assert referred <= set(described["components"]["schemas"])


async def test_every_body_has_an_example(service: httpx.AsyncClient, key: dict[str, str]) -> None:
    described = (await service.get("/openapi.json", headers=key)).json()
    for path, operations in described["paths"].items():
        for operation in operations.values():
            body = operation.get("requestBody", {"content": {}})["content"]
            answers = operation["responses"].get("200", {}).get("content", {})
            for media_type, content in {**body, **answers}.items():
                if media_type.startswith("text/plain"):
                    continue
                name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                schema = described["components"]["schemas"].get(name, {})
                has_example = {"example", "examples"} & (content.keys() | schema.keys())
                assert has_example, f"{path} {media_type}"


async def test_every_endpoint_is_headed_by_a_sentence_of_its_own(
    service: httpx.AsyncClient, key: dict[str, str]
) -> None:
    described = (await service.get("/openapi.json", headers=key)).json()
    heads = [o["summary"] for operations in described["paths"].values() for o in operations.values()]
    assert len(set(heads)) == len(heads)
    assert all(len(head.split()) >= 3 for head in heads), heads
