"""One attempt, against receivers over real sockets that misbehave."""

import asyncio
import ssl

import pytest

from app.delivery.outside import Outside
from app.delivery.webhook import post
from tests.app.delivery.receivers import (
    Behave,
    answer,
    babble,
    drip,
    drop,
    flood,
    hang,
    receiving,
    server_tls,
)

HEADERS = {"webhook-id": "msg_1"}


@pytest.mark.parametrize("status", [200, 202, 204, 299])
async def test_a_status_of_success_acknowledges(outside: Outside, status: int) -> None:
    async with receiving(answer(status)) as receiver:
        got = await post(outside, receiver.url("hooks.test"), HEADERS, b"{}")
    assert (got.error, got.status, str(got.address)) == (None, status, "127.0.0.1")
    [request] = receiver.requests
    assert request.head == "POST /hook?a=b HTTP/1.1"
    assert request.headers["host"] == f"hooks.test:{receiver.port}"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["user-agent"].startswith("TrailMatch/")
    assert request.body == b"{}"


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (answer(500), "refused"),
        (answer(400), "refused"),
        (answer(410), "gone"),
        (hang, "timeout"),
        (drip, "timeout"),
        (drop, "dropped"),
        (babble, "dropped"),
        (answer(200, "X: " + "x" * 200_000 + "\r\n"), "dropped"),  # a head too long to be one
    ],
)
async def test_anything_else_does_not(outside: Outside, behave: Behave, error: str) -> None:
    is_slow = error == "timeout"
    async with receiving(behave) as receiver:
        got = await post(outside._replace(answer_s=0.5 if is_slow else 20.0), receiver.url(), HEADERS, b"{}")
    assert (got.error, got.was_sent, len(receiver.requests)) == (error, True, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(outside: Outside, status: int) -> None:
    async with receiving() as elsewhere, receiving(answer(status, f"Location: {elsewhere.url()}\r\n")) as receiver:
        got = await post(outside, receiver.url(), HEADERS, b"{}")
    assert (got.error, got.status, elsewhere.requests) == ("redirected", status, [])


async def test_a_body_without_end_is_not_read(outside: Outside) -> None:
    async with receiving(flood) as receiver:
        assert (await post(outside, receiver.url(), HEADERS, b"{}")).error is None
    async with receiving(answer(200, body=b"x" * 50_000_000)) as receiver:
        assert (await post(outside, receiver.url(), HEADERS, b"{}")).error is None


async def test_where_nobody_listens_nothing_was_sent(outside: Outside) -> None:
    async with receiving() as receiver:
        url = receiver.url()
    got = await post(outside, url, HEADERS, b"{}")
    assert (got.error, got.was_sent, str(got.address)) == ("unreachable", False, "127.0.0.1")


async def test_of_several_addresses_the_first_that_lets_us_connect_is_used(outside: Outside) -> None:
    async def two(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with receiving() as receiver:  # listens on the second only
        got = await post(outside._replace(resolve=two), receiver.url("hooks.test"), HEADERS, b"{}")
    assert (got.error, str(got.address)) == (None, "127.0.0.1")


async def test_the_address_that_was_checked_is_the_one_connected_to(outside: Outside) -> None:
    """A name server that answers with an allowed address first, and with another ever after."""
    asked = []

    async def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    async with receiving(tls=server_tls()) as receiver:
        got = await post(outside._replace(resolve=rebinding), receiver.url("receiver.test"), HEADERS, b"{}")
        assert (got.error, str(got.address), asked) == (None, "127.0.0.1", ["receiver.test"])


async def test_a_private_address_is_refused_and_never_connected_to(outside: Outside) -> None:
    async with receiving(tls=server_tls()) as receiver:
        for url in (receiver.url("receiver.test"), receiver.url()):
            got = await post(outside._replace(allowed=[]), url, HEADERS, b"{}")
            assert (got.error, got.was_sent) == ("address_refused", False)
    assert receiver.most_open == 0


async def test_a_name_that_nobody_knows_or_that_takes_for_ever_is_an_answer(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    async def slow(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(5)
        return []

    assert (await post(outside._replace(resolve=unknown), "https://x.test/", HEADERS, b"")).error == "unknown_host"
    monkeypatch.setattr("app.delivery.webhook.CONNECT_S", 0.1)
    got = await post(outside._replace(resolve=slow), "https://x.test/", HEADERS, b"")
    assert (got.error, got.was_sent) == ("unknown_host", False)


async def test_a_certificate_of_another_name_or_nobody_we_trust_is_refused(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving(tls=server_tls()) as receiver:
        assert (await post(outside, receiver.url("receiver.test"), HEADERS, b"{}")).error is None
        other_name = await post(outside, receiver.url("other.test"), HEADERS, b"{}")
        stranger = outside._replace(tls=ssl.create_default_context())
        untrusted = await post(stranger, receiver.url("receiver.test"), HEADERS, b"{}")
    for got in (other_name, untrusted):
        assert (got.error, got.was_sent) == ("tls", False)
    assert len(receiver.requests) == 1
    monkeypatch.setattr("app.delivery.webhook.CONNECT_S", 1.0)  # a plain server waits for more
    async with receiving() as plain:
        got = await post(outside, plain.url("receiver.test").replace("http:", "https:"), HEADERS, b"{}")
    assert (got.error, plain.requests) == ("tls", [])


async def test_in_the_clear_only_to_a_network_that_is_allowed(outside: Outside) -> None:
    async def public(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8"]

    got = await post(outside._replace(resolve=public), "http://hooks.test/", HEADERS, b"{}")
    assert (got.error, got.was_sent) == ("not_https", False)


async def test_no_proxy_of_the_environment_sees_anything(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        monkeypatch.setenv("ALL_PROXY", proxy.url())
        assert (await post(outside, receiver.url(), HEADERS, b"{}")).error is None
    assert (len(proxy.requests), len(receiver.requests)) == (0, 1)


async def test_how_long_to_wait_is_read_from_the_answer(outside: Outside) -> None:
    async with receiving(answer(503, "Retry-After: 120\r\n")) as receiver:
        assert (await post(outside, receiver.url(), HEADERS, b"{}")).retry_after_s == 120
        receiver.behave = answer(503, "Retry-After: Sat, 14 Mar 2026 12:00:00 GMT\r\n")
        assert (await post(outside, receiver.url(), HEADERS, b"{}")).retry_after_s is None
