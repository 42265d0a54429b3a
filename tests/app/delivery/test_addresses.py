"""Which addresses a webhook may be sent to."""

from ipaddress import ip_address, ip_network

import pytest

from app.delivery.addresses import AddressRefused, find_addresses, is_allowed, is_public, resolve

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",  # where clouds keep their keys
    "192.0.0.1",
    "192.0.0.8",
    "192.88.99.1",
    "3fff::1",
    "5f00::1",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_what_is_not_on_the_public_internet_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_what_is_on_it_is_public(text: str) -> None:
    assert is_public(ip_address(text))


def test_a_network_that_the_operator_allows_is_allowed_however_its_address_is_wrapped() -> None:
    allowed = [ip_network("10.20.0.0/16"), ip_network("fd00::/8")]
    for text in ("10.20.3.4", "::ffff:10.20.3.4", "fd12::1"):
        assert is_allowed(ip_address(text), allowed)
    for text in ("10.21.0.1", "::ffff:10.21.0.1", "fe80::1"):
        assert not is_allowed(ip_address(text), allowed)


async def test_one_bad_address_among_good_ones_refuses_the_name() -> None:
    async def both(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(AddressRefused):
        await find_addresses(both, "mixed.example", 443, [])
    assert len(await find_addresses(both, "mixed.example", 443, [ip_network("10.0.0.0/8")])) == 2


async def test_a_name_without_an_address_is_none() -> None:
    async def nothing(_host: str, _port: int) -> list[str]:
        return []

    with pytest.raises(OSError, match="no address"):
        await find_addresses(nothing, "gone.example", 443, [])


async def test_the_machines_own_resolver_is_asked() -> None:
    assert "127.0.0.1" in await resolve("localhost", 80)
