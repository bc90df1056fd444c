"""Gets one page from a provider: bounded in size and time, at a pinned host, never at an address of ours.

The address that was looked at is the one that is connected to. Redirects are refused: what a file does not name is
not asked, and a secret goes nowhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx
import orjson

from engine.decoding.media_types import MEDIA_TYPES, headers_of
from engine.fetching import Ask, FetchRefused
from flows.fetching import is_public

MOST_RETRY_AFTER = 3600.0
_AGAIN = frozenset({408, 425, 429})
_UNAUTHORIZED = frozenset({401, 403})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_PAGE = frozenset({"text/html", "application/xhtml+xml"})
"""What login and error pages are, whatever their status says."""

# It tells the URL of each request, which may hold what a command said.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host. Raises OSError."""


class Page(NamedTuple):
    """An answer with a body. Header names are lower case; `link` is its Link header."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    link: str


class TryAgain(Exception):
    """Nothing came, and may come later: in `after` seconds at the earliest, where the provider said so."""

    def __init__(self, code: str, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.code, self.after = code, after


async def addresses_of(host: str, port: int) -> list[str]:
    """By the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


class Pages:
    """Asks for pages. `allow` are CIDR blocks that may be asked although they are not public, also without TLS."""

    def __init__(
        self,
        allow: Iterable[str],
        timeout: float,
        clock: Callable[[], datetime],
        resolve: Resolve = addresses_of,
    ) -> None:
        self._allow = [ipaddress.ip_network(block) for block in allow]
        self._timeout, self._clock, self._resolve = timeout, clock, resolve
        self._tls = ssl.create_default_context()

    async def get(self, ask: Ask, headers: Mapping[str, str], limit: int, accepted: Collection[str]) -> Page | None:
        """A page of at most `limit` bytes in one of the `accepted` formats, None where there is no content.

        Raises TryAgain and FetchRefused.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._once(ask, headers, limit, accepted)
        except TimeoutError:
            raise TryAgain("fetch_too_slow", f"no whole answer came within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            reason = f"the host could not be asked ({type(error).__name__})"
            raise TryAgain("fetch_unreachable", reason) from None

    async def _once(self, ask: Ask, headers: Mapping[str, str], limit: int, accepted: Collection[str]) -> Page | None:
        parts = urlsplit(ask.url)
        host, address = parts.hostname or "", await self._address(ask.url)
        shown = f"[{address}]" if ":" in address else address
        pinned = urlunsplit(parts._replace(netloc=shown if parts.port is None else f"{shown}:{parts.port}"))
        sent = {**headers, "Host": parts.netloc, "Accept-Encoding": "identity"}
        content = None
        if ask.body is not None:
            content = orjson.dumps(ask.body)
            sent |= {"Content-Type": "application/json"}
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=self._timeout) as client,
            client.stream(
                "GET" if content is None else "POST",
                pinned,
                content=content,
                headers=sent,
                extensions={"sni_hostname": host},
            ) as answer,
        ):
            if answer.status_code == 204:
                return None
            if answer.status_code != 200:
                raise self._refusal(answer)
            raw = tuple((name.lower(), value) for name, value in answer.headers.raw)
            _fitting(raw, accepted)
            return Page(raw, await _bounded(answer, limit), answer.headers.get("link", ""))

    def _refusal(self, answer: httpx.Response) -> Exception:
        status = answer.status_code
        if status >= 500 or status in _AGAIN:
            after = self._retry_after(answer.headers.get("retry-after", ""))
            return TryAgain("fetch_unavailable", f"the provider answered {status}", after)
        if status in _UNAUTHORIZED:
            return FetchRefused("fetch_unauthorized", f"the provider answered {status}: the secret is not believed")
        if status in _REDIRECTS:
            return FetchRefused("fetch_redirected", f"the provider answered {status}, and redirects are not followed")
        return FetchRefused("fetch_refused", f"the provider answered {status}")

    def _retry_after(self, text: str) -> float | None:
        """Seconds until then (RFC 9110, section 10.2.3), bounded; None where nothing readable is said."""
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), MOST_RETRY_AFTER)
        try:
            then = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        wait = ((then if then.tzinfo else then.replace(tzinfo=UTC)) - self._clock()).total_seconds()
        return min(max(wait, 0.0), MOST_RETRY_AFTER)

    async def _address(self, url: str) -> str:
        parts = urlsplit(url)
        port = parts.port or {"http": 80}.get(parts.scheme, 443)
        try:
            addresses = await self._resolve(parts.hostname or "", port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise TryAgain("fetch_unreachable", "the host has no address")
        for address in addresses:
            allowed = any(ipaddress.ip_address(address.partition("%")[0]) in block for block in self._allow)
            if not allowed and not is_public(address):
                raise FetchRefused("fetch_private_address", "the host has an address that is not public")
            if not allowed and parts.scheme != "https":
                raise FetchRefused("fetch_plain_http", "the URL is not https")
        return addresses[0]


def _fitting(headers: tuple[tuple[bytes, bytes], ...], accepted: Collection[str]) -> None:
    """Raises FetchRefused where the label says that this is no page that the feed takes."""
    said = headers_of(headers).media_type
    known = MEDIA_TYPES.get(said)
    if (said in _NO_PAGE or known is not None) and known not in accepted:
        raise FetchRefused("fetch_wrong_type", f"the answer is {said}, the feed takes {', '.join(accepted)}")


async def _bounded(answer: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise FetchRefused("fetch_too_large", f"a page has more than {limit} bytes")
    return bytes(body)
