from typing import Any

import httpx
import pytest

from app.db import Connection
from tests.app.conftest import MakeKey

Json = Any

STORED = "SELECT name, role, disabled_at IS NULL AS is_used FROM account ORDER BY account_id"


@pytest.fixture
async def admin(make_key: MakeKey) -> dict[str, str]:
    return await make_key("met", "force", "admin")


def an_account(**changed: Any) -> Json:  # noqa: ANN401 - JSON
    return {"email": "A.Cole@met.example", "name": "A. Cole", "role": "offender_manager", **changed}


async def _post(service: httpx.AsyncClient, key: dict[str, str], *body: Json) -> Json:
    answer = await service.post("/v1/accounts", json=body, headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_address_is_one_account_in_any_case_of_letters(
    service: httpx.AsyncClient, admin: dict[str, str], connection: Connection
) -> None:
    answer = await _post(
        service, admin, an_account(), an_account(email="a.cole@MET.example"), an_account(role="analyst")
    )
    assert [account["outcome"] for account in answer["accounts"]] == ["created", "unchanged", "updated"]
    assert len({account["account_id"] for account in answer["accounts"]}) == 1
    assert [tuple(row) for row in await connection.fetch(STORED)] == [("A. Cole", "analyst", True)]


async def test_an_account_is_disabled_and_comes_back(
    service: httpx.AsyncClient, admin: dict[str, str], connection: Connection
) -> None:
    for disabled in (True, False):
        await _post(service, admin, an_account(disabled=disabled))
        assert [row["is_used"] for row in await connection.fetch(STORED)] == [not disabled]


async def test_another_organisations_address_is_refused_and_stays_as_it_was(
    service: httpx.AsyncClient, admin: dict[str, str], make_key: MakeKey, connection: Connection
) -> None:
    await _post(service, admin, an_account())
    other = await make_key("essex", "force", "admin")
    answer = await _post(service, other, an_account(name="B"), an_account(email="b@essex.example"))
    assert [(e["line"], e["code"]) for e in answer["errors"]] == [(1, "not_yours")]
    assert [row["name"] for row in await connection.fetch(STORED)] == ["A. Cole", "A. Cole"]


async def test_only_an_operators_people_are_operators(
    service: httpx.AsyncClient, admin: dict[str, str], make_key: MakeKey
) -> None:
    answer = await _post(service, admin, an_account(role="operator"))
    assert [(e["pointer"], e["code"]) for e in answer["errors"]] == [("/role", "not_allowed")]
    operator = await make_key("ops", "operator", "admin")
    assert (await _post(service, operator, an_account(role="operator")))["created"] == 1


async def test_accounts_need_the_scope_and_contractors_have_none(service: httpx.AsyncClient, make_key: MakeKey) -> None:
    writer = await make_key("met", "force", "wearers:write")
    contractor = await make_key("gps", "contractor", "admin")
    for key in (writer, contractor):
        assert (await service.post("/v1/accounts", json=an_account(), headers=key)).status_code == 403


@pytest.mark.parametrize("email", ["no at", "a@b@c", "a b@c", "@", "ä@b", "a@b\n"])
async def test_an_address_that_is_none_is_refused(
    service: httpx.AsyncClient, admin: dict[str, str], email: str
) -> None:
    answer = await service.post("/v1/accounts", json=an_account(email=email), headers=admin)
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/email"}
