"""Posts a small message to a URL that an operator chose, from where the server stands.

Every address of its host is looked at, and the one that is connected to is one of those: a name that is looked up
again and gives another address changes nothing. An address that is not public is refused, and so is http, unless
it lies in a network that TIFFIN_ALERT_NETWORKS names. Redirects are not followed, proxies are not asked.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from flows.fetching import Resolve, addresses_of, is_public

SECONDS = 10.0


class PostFailed(Exception):
    """It was not taken; the text says why and names no more of the URL than its host."""


class Poster:
    """`networks` are CIDR blocks of own networks. `resolve` and `context` differ in tests only."""

    def __init__(
        self,
        networks: Iterable[str] = (),
        *,
        seconds: float = SECONDS,
        resolve: Resolve = addresses_of,
        context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._own = [ipaddress.ip_network(one) for one in networks]
        self._seconds, self._resolve, self._context = seconds, resolve, context

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status, 200 … 299. Blocks for about `seconds` and a look-up. Raises PostFailed for anything else."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            address = self._address(host, parts.scheme)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            port = parts.port or (443 if parts.scheme == "https" else 80)
            status = self._post(parts.scheme, host, address, port, path, body, headers)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise PostFailed(f"{host} could not be reached: {type(error).__name__}") from None
        if 300 <= status < 400:
            raise PostFailed(f"{host} answered {status}: redirects are not followed")
        if not 200 <= status < 300:
            raise PostFailed(f"{host} answered {status}")
        return status

    def _address(self, host: str, scheme: str) -> str:
        found = list(self._resolve(host))
        if not found:
            raise PostFailed(f"{host} has no address")
        own = [self._is_own(one) for one in found]
        if not all(mine or is_public(one) for mine, one in zip(own, found, strict=True)):
            raise PostFailed(f"{host} has an address that is not public: see TIFFIN_ALERT_NETWORKS")
        if scheme != "https" and not all(own):
            raise PostFailed(f"{host} is not of an own network: https is needed")
        return found[0]

    def _is_own(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        inside = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        return any((inside or found) in one for one in self._own)

    def _post(
        self, scheme: str, host: str, address: str, port: int, path: str, body: bytes, headers: Mapping[str, str]
    ) -> int:
        until = time.monotonic() + self._seconds
        sock = socket.create_connection((address, port), self._seconds)
        if scheme == "https":
            sock = _wrapped(sock, self._context(), host)
        # A server that sends a byte now and then never times out by itself.
        end = threading.Timer(max(until - time.monotonic(), 0.0), _shut, [sock])
        end.daemon = True
        end.start()
        connection = (http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection)(host, port)
        connection.sock = sock
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            connection.request("POST", path, body, dict(headers))
            status = connection.getresponse().status
            if time.monotonic() >= until:
                raise PostFailed(f"{host} was too slow")
            return status
        finally:
            end.cancel()
            connection.close()


def _wrapped(sock: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise


def _shut(sock: socket.socket) -> None:
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return
