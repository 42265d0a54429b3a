"""One attempt to send a webhook: to the very address that was checked; of the answer only the head is read."""

import asyncio
import ssl
from importlib.metadata import version
from typing import Final, NamedTuple

import httpx

from app.delivery.addresses import Address, AddressRefused, find_addresses, is_allowed
from app.delivery.outside import Outside

CONNECT_S: Final = 5.0  # to look a name up, to connect, to agree on encryption
ADDRESSES: Final = 3

_USER_AGENT = f"TrailMatch/{version('trailmatch')}"


class Answer(NamedTuple):
    """What came of an attempt."""

    error: str | None  # None: acknowledged
    was_sent: bool = False  # the receiver may have seen it
    status: int | None = None
    address: Address | None = None
    retry_after_s: int | None = None


async def post(outside: Outside, url: str, headers: dict[str, str], body: bytes) -> Answer:
    """Send a body once. A status from 200 to 299 acknowledges it; redirects are not followed.

    Whatever goes wrong is an answer with a code: unknown_host, address_refused, not_https, unreachable, tls, timeout,
    dropped, redirected, gone, refused. Takes 45 s at most: to look the name up, and to connect to three addresses.
    """
    target = httpx.URL(url)
    try:
        async with asyncio.timeout(CONNECT_S):
            addresses = await find_addresses(outside.resolve, target.raw_host.decode(), _port(target), outside.allowed)
    except AddressRefused:
        return Answer("address_refused")
    except (OSError, ValueError):  # a name that takes for ever among them
        return Answer("unknown_host")
    if target.scheme != "https" and not all(is_allowed(address, outside.allowed) for address in addresses):
        return Answer("not_https")
    return await _post_to_any(outside, target, addresses, headers, body)


def _port(target: httpx.URL) -> int:
    return target.port or (443 if target.scheme == "https" else 80)


async def _post_to_any(
    outside: Outside, target: httpx.URL, addresses: list[Address], headers: dict[str, str], body: bytes
) -> Answer:
    """Send to the first address that lets us connect."""
    answer = Answer("unreachable")
    for address in addresses[:ADDRESSES]:
        answer = await _post_to(outside, target, address, headers, body)
        if answer.error != "unreachable":
            break
    return answer


async def _post_to(
    outside: Outside, target: httpx.URL, address: Address, headers: dict[str, str], body: bytes
) -> Answer:
    was_sent = False
    deadline = asyncio.timeout(2 * CONNECT_S)

    async def trace(name: str, _info: object) -> None:
        nonlocal was_sent
        if name == "http11.send_request_headers.started":
            was_sent = True
            # From here on the receiver has so long in all, however often it lets a little be read.
            deadline.reschedule(asyncio.get_running_loop().time() + outside.answer_s)

    request = httpx.Request(
        "POST",
        target.copy_with(host=str(address)),
        headers={"Host": target.netloc.decode(), "User-Agent": _USER_AGENT, "Connection": "close", **headers},
        content=body,
        extensions={
            # The certificate has to be the name's, though we connect to an address.
            "sni_hostname": target.raw_host.decode(),
            "timeout": dict.fromkeys(("connect", "write", "read", "pool"), CONNECT_S) | {"read": outside.answer_s},
            "trace": trace,
        },
    )
    # A transport of its own: one that is shared hands a connection, made for one name, to another at the same address.
    # And no client: that would follow the environment's proxies, and log the address.
    transport = httpx.AsyncHTTPTransport(verify=outside.tls)
    try:
        async with transport, deadline:
            response = await transport.handle_async_request(request)
            # A body may be without end, and nothing in it matters.
            await response.aclose()
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        return Answer("tls" if _is_tls(error) else "unreachable", was_sent, address=address)
    except (httpx.TimeoutException, TimeoutError):
        return Answer("timeout" if was_sent else "unreachable", was_sent, address=address)
    except httpx.TransportError:
        return Answer("dropped", was_sent, address=address)
    return _answer_of(response, address)


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _answer_of(response: httpx.Response, address: Address) -> Answer:
    status = response.status_code
    if 200 <= status < 300:
        error = None
    elif 300 <= status < 400:
        error = "redirected"
    else:
        error = "gone" if status == 410 else "refused"
    asked = response.headers.get("retry-after", "")
    retry_after_s = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else None
    return Answer(error, was_sent=True, status=status, address=address, retry_after_s=retry_after_s)
