"""Who is calling, behind the proxies that were declared."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence

Headers = Iterable[tuple[bytes, bytes]]


def peer_reader(trusted_proxies: Sequence[str]) -> Callable[[str, Headers], str]:
    """A function from (address of the socket's other end, headers) to the caller's address.

    X-Forwarded-For is believed only where a declared proxy added to it: it is read from the right, and the
    first address that is no declared proxy is the caller. What stands left of it is the caller's own claim.
    """
    networks = tuple(ipaddress.ip_network(block) for block in trusted_proxies)

    def trusted(address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in networks)

    def peer(socket_peer: str, headers: Headers) -> str:
        if not networks or not trusted(socket_peer):
            return socket_peer
        forwarded = ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
        found = socket_peer
        for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
            if not _is_address(hop):
                return found
            found = hop
            if not trusted(hop):
                return found
        return found

    return peer


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
