"""Which addresses a webhook may be sent to: public ones, and the private networks that the operator allows."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Networks: TypeAlias = Sequence[IPv4Network | IPv6Network]
Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

_NAT64 = IPv6Network("64:ff9b::/96")
_TUNNELS = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))  # 6to4 and Teredo: they lead to an IPv4 address inside
# Not for the public internet, though `ipaddress` of some versions of Python takes them for that.
_RESERVED: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("192.0.0.0/24"),  # for protocols (RFC 6890)
    IPv4Network("192.88.99.0/24"),  # relays of 6to4 (RFC 7526)
    IPv6Network("3fff::/20"),  # for documentation (RFC 9637)
    IPv6Network("5f00::/16"),  # segment routing (RFC 9602)
)


class AddressRefused(Exception):  # noqa: N818 - a finding, not a fault
    """The name leads to an address that nothing is sent to."""


async def resolve(host: str, port: int) -> list[str]:
    """Ask for the addresses of a host. Raises OSError if it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def find_addresses(look_up: Resolve, host: str, port: int, allowed: Networks) -> list[Address]:
    """Give the addresses of a host, all of them checked: connect to these, and never look the name up again.

    Raises AddressRefused if any of them is neither public nor allowed, and OSError if there is none.
    """
    addresses = [ip_address(text.partition("%")[0]) for text in await look_up(host, port)]
    if not addresses:
        raise OSError("the name has no address")
    for address in addresses:
        if not is_public(address) and not is_allowed(address, allowed):
            raise AddressRefused
    return addresses


def is_allowed(address: Address, allowed: Networks) -> bool:
    """Say whether an address lies in one of these networks; an IPv4 address wrapped in IPv6 is what it wraps."""
    inner = _unwrapped(address)
    return any(inner in network for network in allowed if network.version == inner.version)


def is_public(address: Address) -> bool:
    """Say whether an address is one of the public internet's, and no multicast, tunnel or wrapped private one."""
    inner = _unwrapped(address)
    is_odd = inner.is_multicast or inner.is_reserved or inner.is_loopback or inner.is_link_local or inner.is_unspecified
    if isinstance(inner, IPv6Address):
        is_odd = is_odd or inner.is_site_local or any(inner in tunnel for tunnel in _TUNNELS)
    is_odd = is_odd or any(inner in network for network in _RESERVED if network.version == inner.version)
    return inner.is_global and not is_odd


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address
