"""Fetches a small document from a URL that somebody else chose.

https on port 443 only; redirects are not followed; an address that is not public is refused, and the address
that was looked at is the one that is connected to; size and time are bounded. Which hosts are believed is for the
caller to decide, before.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

_CHUNK = 16_384

Resolve = Callable[[str], Iterable[str]]
"""The addresses of a host. Raises OSError."""


class FetchFailed(Exception):
    """Nothing came. `lasting`: it will not come either when asked again soon, as after a 404."""

    def __init__(self, reason: str, lasting: bool) -> None:
        super().__init__(reason)
        self.lasting = lasting


def addresses_of(host: str) -> list[str]:
    """By the system's resolver."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]


class _Pinned(http.client.HTTPSConnection):
    """Connects to an address that was looked at, and has the certificate checked against the host's name."""

    def __init__(self, host: str, address: str, port: int, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._address, self._tls = address, context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


class Fetcher:
    """`public` says which addresses may be connected to, `port` where; both differ in tests only."""

    def __init__(
        self,
        *,
        limit: int = 65_536,
        timeout: float = 5.0,
        resolve: Resolve = addresses_of,
        context: ssl.SSLContext | None = None,
        public: Callable[[str], bool] | None = None,
        port: int = 443,
    ) -> None:
        self._limit, self._timeout, self._resolve = limit, timeout, resolve
        self._context, self._public, self._port = context or ssl.create_default_context(), public or is_public, port

    def fetch(self, url: str) -> bytes:
        """The body of a 200. Blocks for at most about twice the timeout. Raises FetchFailed."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.netloc != parts.hostname:
            raise FetchFailed("the URL is not plain https", True)
        until = time.monotonic() + self._timeout
        try:
            return self._get(parts.hostname, self._address(parts.hostname), parts.path or "/", until)
        except (OSError, http.client.HTTPException) as error:
            raise FetchFailed(f"{parts.hostname} could not be asked: {type(error).__name__}", False) from None

    def _address(self, host: str) -> str:
        found = list(self._resolve(host))
        if not found:
            raise FetchFailed(f"{host} has no address", False)
        if not all(self._public(one) for one in found):
            raise FetchFailed(f"{host} has an address that is not public", True)
        return found[0]

    def _get(self, host: str, address: str, path: str, until: float) -> bytes:
        connection = _Pinned(host, address, self._port, self._timeout, self._context)
        try:
            connection.request("GET", path, headers={"Host": host, "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise FetchFailed(f"{host} answered {answer.status}", answer.status < 500 and answer.status != 429)
            return self._read(answer, host, until)
        finally:
            connection.close()

    def _read(self, answer: http.client.HTTPResponse, host: str, until: float) -> bytes:
        body = b""
        while chunk := answer.read1(_CHUNK):
            body += chunk
            if len(body) > self._limit:
                raise FetchFailed(f"{host} sent more than {self._limit} bytes", True)
            if time.monotonic() > until:
                raise FetchFailed(f"{host} was too slow", False)
        return body


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet. An IPv4 address written as IPv6 counts as what it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_global and not (mapped or found).is_multicast
