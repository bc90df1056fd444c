"""A page as a request: asked for with the connection's secret, and taken in as a delivery with its cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson

from engine.fetching import Ask, FetchRefused, FetchRule
from engine.messages import Connection, Request
from flows.providers import LoadedProvider
from flows.receive import Receiver
from flows.refreshing.pages import Pages
from flows.sealing import query_pairs, unquote_path
from stores.fetch_jobs import Job

CAUSE_HEADER, JOB_HEADER, PAGE_HEADER = b"tiffin-cause", b"tiffin-fetch", b"tiffin-page"
"""Which delivery asked for a page, which fetch it belongs to, and its number."""
OVERLAP = timedelta(minutes=1)
"""Clocks of providers differ from ours; what is told twice changes nothing."""
_NEVER = frozenset({b"set-cookie", b"connection", b"transfer-encoding", b"keep-alive"})

NEXT_STEPS: Mapping[str, str] = {
    "fetch_unauthorized": "Replace the secret with tiffin connection rotate {connection} --secret NAME=VALUE",
    "fetch_secret_missing": "Give the connection its secret: tiffin connection rotate {connection} --secret NAME=VALUE",
    "fetch_private_address": "Correct the url in the provider file, or name the address in TIFFIN_FETCH_ALLOW",
    "fetch_plain_http": "Write https in the provider file, or name the address in TIFFIN_FETCH_ALLOW",
    "fetch_redirected": "Write the url to which the provider redirects into the provider file",
    "fetch_too_large": "Ask for smaller pages in the provider file, or raise the feed's limits and TIFFIN_MAX_BODY",
    "fetch_endless": "Correct pages or raise most in the provider file",
    "fetch_wrong_type": "Look at what the url answers; correct it or the feed's accept",
    "fetch_unserved": "Bring the rule or the connection back",
}
"""By code, what to do before it is tried again."""


def since(job: Job, covered: datetime | None) -> dict[str, Any]:
    """The command's fields, with the time from which on changes are of interest."""
    data: dict[str, Any] = orjson.loads(job.data)
    if covered is not None and data.get("since") is None:
        data["since"] = (covered - OVERLAP).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return data


class Asking:
    """Asks for pages and hands them over. `max_body` bounds each in bytes."""

    def __init__(self, pages: Pages, receiver: Receiver, clock: Callable[[], datetime], max_body: int) -> None:
        self._pages, self._receiver, self._clock, self._max_body = pages, receiver, clock, max_body

    async def ask(
        self, rule: FetchRule, loaded: LoadedProvider, connection: Connection, job: Job, ask: Ask, number: int
    ) -> Request | None:
        """A page as the request that a delivery of it keeps; None: there is no content.

        Raises TryAgain and FetchRefused.
        """
        fetch = rule.fetch
        feed = loaded.interpreter.provider.feeds[fetch.feed]
        limit = self._max_body if feed.limits.body is None else min(feed.limits.body, self._max_body)
        page = await self._pages.get(ask, headers(rule, connection), limit, tuple(feed.formats))
        if page is None:
            return None
        ours = [(JOB_HEADER, job.id.encode()), (PAGE_HEADER, str(number).encode())]
        if job.cause:
            ours.append((CAUSE_HEADER, job.cause.encode()))
        strange = tuple(pair for pair in page.headers if pair[0] not in _NEVER and not pair[0].startswith(b"tiffin-"))
        parts = urlsplit(ask.url)
        return Request(
            fetch.method,
            ask.url,
            unquote_path(parts.path),
            query_pairs(parts.query),
            (*strange, *ours),
            page.body,
            "",
            self._clock(),
        )

    async def take_in(
        self, loaded: LoadedProvider, feed: str, request: Request, connection: Connection, delivery: str
    ) -> None:
        """Returns once the delivery is durable and concluded. Raises QueueFull, StoreUnavailable and FetchRefused."""
        verdict = await self._receiver.fetched(loaded, feed, request, connection, delivery)
        if verdict == "rejected":
            raise FetchRefused("fetch_unreadable", f"the page was refused; see {delivery}")


def headers(rule: FetchRule, connection: Connection) -> dict[str, str]:
    """What a request carries. Raises FetchRefused where the connection has no such secret."""
    found, auth = {"Accept": "*/*", "User-Agent": "tiffin", **rule.fetch.headers}, rule.fetch.auth
    if auth is None:
        return found
    values = connection.secrets.get(auth.secret, ())
    if not values:
        raise FetchRefused("fetch_secret_missing", f"the connection has no secret {auth.secret}")
    try:
        text = values[0].decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise FetchRefused("fetch_secret_missing", f"the secret {auth.secret} cannot stand in a header")
    return {**found, auth.header: auth.prefix + text}
