"""Every way to fail is a problem document that says what to do, and never repeats what was sent."""

from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from app.db import Connection
from app.rows import MAX_BODY_BYTES
from tests.app.conftest import MakeKey
from tests.app.incidents.examples import an_incident

PROBLEM = "application/problem+json"


@pytest.fixture
async def met(make_key: MakeKey) -> dict[str, str]:
    return await make_key("met", "force", "incidents:write", "incidents:read")


def _is_problem(answer: httpx.Response, status: int) -> bool:
    body = answer.json()
    return (
        (answer.status_code, body["status"], answer.headers["content-type"]) == (status, status, PROBLEM)
        and bool(body["title"])
        and bool(body["detail"])
    )


async def test_an_unknown_address_is_a_404(service: httpx.AsyncClient) -> None:
    assert _is_problem(await service.get("/nowhere"), 404)


async def test_a_wrong_method_is_a_405_that_names_the_right_ones(service: httpx.AsyncClient) -> None:
    answer = await service.delete("/v1/incidents")
    assert _is_problem(answer, 405)
    assert set(answer.headers["allow"].split(", ")) <= {"GET", "POST"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer tm_00000000_" + "0" * 64},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic nonsense"},
        {"Authorization": "Basic bm86cGFzcw=="},
        {"Authorization": "Digest x"},
    ],
)
async def test_without_a_good_key_it_is_a_401_that_says_how_to_sign_in(
    service: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await service.get("/v1/incidents", headers=headers)
    assert _is_problem(answer, 401)
    challenges = answer.headers.get_list("www-authenticate")
    assert [challenge.partition(" ")[0] for challenge in challenges] == ["Bearer", "Basic"]


async def test_a_key_without_the_scope_is_a_403_that_names_it(service: httpx.AsyncClient, make_key: MakeKey) -> None:
    key = await make_key("met", "force", "incidents:write")
    answer = await service.get("/v1/incidents", headers=key)
    assert _is_problem(answer, 403)
    assert "incidents:read" in answer.json()["detail"]


async def test_a_bad_parameter_is_a_422_that_names_it_and_keeps_its_value_to_itself(
    service: httpx.AsyncClient, met: dict[str, str]
) -> None:
    answer = await service.get("/v1/incidents", params={"limit": "secret"}, headers=met)
    assert _is_problem(answer, 422)
    assert [(e["in"], e["pointer"]) for e in answer.json()["errors"]] == [("query", "/limit")]
    assert "secret" not in answer.text


async def test_a_body_over_the_limit_is_a_413(service: httpx.AsyncClient, met: dict[str, str]) -> None:
    body = b"[" + b" " * MAX_BODY_BYTES + b"]"
    answer = await service.post("/v1/incidents", content=body, headers={**met, "Content-Type": "application/json"})
    assert _is_problem(answer, 413)


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/csv"}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}]
)
async def test_a_body_of_another_kind_is_a_415(
    service: httpx.AsyncClient, met: dict[str, str], headers: dict[str, str]
) -> None:
    assert _is_problem(await service.post("/v1/incidents", content=b"[]", headers={**met, **headers}), 415)


@pytest.mark.parametrize("content", [b"", b"{", b"nonsense", b"\xff", b'"\\ud800x"', b"[1e999]", b"[" * 100_000])
async def test_a_body_that_is_not_json_is_a_400(
    service: httpx.AsyncClient, met: dict[str, str], content: bytes
) -> None:
    headers = {**met, "Content-Type": "application/json"}
    assert _is_problem(await service.post("/v1/incidents", content=content, headers=headers), 400)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        FileNotFoundError("the socket"),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.ConnectionFailureError("failure"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.CrashShutdownError("crash of another server process"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.InterfaceError("cannot perform operation: connection is closed"),
        asyncpg.InterfaceError("pool is closing"),
    ],
)
async def test_a_lost_database_is_a_503_that_says_when_to_come_back(
    service: httpx.AsyncClient, application: FastAPI, error: Exception
) -> None:
    _fail_at(application, error)
    answer = await service.get("/fail")
    assert _is_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "error", [ValueError("secret"), asyncpg.InterfaceError("secret"), asyncpg.UniqueViolationError("secret")]
)
async def test_a_fault_of_ours_is_a_500_without_a_word_of_what_was_sent(
    service: httpx.AsyncClient, application: FastAPI, error: Exception
) -> None:
    _fail_at(application, error)
    answer = await service.get("/fail")
    assert _is_problem(answer, 500)
    assert "secret" not in answer.text


# As PostgreSQL says it when a file cannot grow any more.
FULL_DISK = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not extend file: secret' USING ERRCODE = 'disk_full';
END $$;
CREATE TRIGGER no_room BEFORE INSERT ON incident FOR EACH ROW EXECUTE FUNCTION no_room()
"""


async def test_a_full_disk_is_a_503_after_which_the_same_is_stored(
    service: httpx.AsyncClient, connection: Connection, met: dict[str, str]
) -> None:
    await connection.execute(FULL_DISK)
    answer = await service.post("/v1/incidents", json=[an_incident()], headers=met)
    assert _is_problem(answer, 503)
    assert (answer.headers["retry-after"], answer.json()["title"]) == ("60", "Database full")
    assert "secret" not in answer.text
    await connection.execute("DROP TRIGGER no_room ON incident")
    assert (await service.post("/v1/incidents", json=[an_incident()], headers=met)).status_code == 200


async def test_a_server_that_breaks_off_every_session_is_a_503_and_then_serves_on(
    service: httpx.AsyncClient, application: FastAPI, met: dict[str, str]
) -> None:
    pool = application.state.pool

    @application.get("/break")
    async def break_off() -> Any:  # noqa: ANN401 - it never returns
        async with pool.acquire() as connection:
            return await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    assert _is_problem(await service.get("/break"), 503)
    assert (await service.get("/v1/incidents", headers=met)).status_code == 200


async def test_every_answer_has_an_id_by_which_the_log_knows_it(service: httpx.AsyncClient) -> None:
    first, second = [(await service.get("/nowhere")).headers["x-request-id"] for _ in range(2)]
    assert first != second


def _fail_at(application: FastAPI, error: Exception) -> None:
    @application.get("/fail")
    async def fail() -> None:
        raise error
