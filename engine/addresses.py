"""Who called: the address behind declared proxies, and whether an allowlist holds it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}")


def address_allowed(peer: str, allow: tuple[str, ...]) -> bool:
    """Whether an address lies in one of the CIDR blocks; an empty allowlist holds every address.

    An address that cannot be read lies in none, and a block that cannot be read holds none.
    """
    return not allow or _within(_address(peer), allow)


def caller(peer: str, forwarded_for: Iterable[str], trusted: tuple[str, ...]) -> str:
    """The caller's address. `forwarded_for`: the values of X-Forwarded-For in order; `trusted`: CIDR blocks.

    The values are read from the right, for as long as the part before was added by a declared proxy:
    what stands further left may be anybody's invention. The peer itself where a part is no address.
    """
    if not trusted or not _within(_address(peer), trusted):
        return peer
    found = peer
    for part in reversed(",".join(forwarded_for).split(",")):
        if not part.strip():
            continue
        address = _address(_without_port(part.strip()))
        if address is None:
            return peer
        found = str(address)
        if not _within(address, trusted):
            break
    return found


def _within(address: Address | None, blocks: tuple[str, ...]) -> bool:
    if address is None:
        return False
    return any(network.version == address.version and address in network for network in _networks(blocks))


@lru_cache(maxsize=4096)
def _networks(blocks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(network for block in blocks if (network := _network(block)) is not None)


def _network(block: str) -> Network | None:
    try:
        network = ipaddress.ip_network(block.strip(), strict=False)
    except ValueError:
        return None
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        return ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}", strict=False)
    return network


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _without_port(text: str) -> str:
    found = _WITH_PORT.fullmatch(text)
    return (found[1] or found[2]) if found else text
