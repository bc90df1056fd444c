"""Signers' certificates, fetched from the URLs that requests name and kept for a while.

The engine says which URLs are believed (engine/certificates.py) before anything is fetched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from flows.logging import logger

KEPT = 24 * 3600.0
REFUSED_FOR = 300.0
MOST = 64
A_MINUTE = 30
"""So many fetches a minute at the most: what strangers name must not make a flood."""

_log = logger("tiffin.certificates")


class CertificateUnavailable(Exception):
    """The certificate did not come this time; whoever sent the request is asked to come again."""


class _Kept(NamedTuple):
    pem: bytes
    until: float


class Certificates:
    """Certificates by URL. One that its host says is not there is kept as empty for a short while."""

    def __init__(
        self, fetch: Callable[[str], bytes] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._clock = fetch or _fetched, clock
        self._kept: dict[str, _Kept] = {}
        self._coming: dict[str, asyncio.Task[None]] = {}
        self._begun: list[float] = []

    @property
    def held(self) -> Mapping[str, bytes]:
        """What is at hand now."""
        now = self._clock()
        return {url: kept.pem for url, kept in self._kept.items() if kept.until > now}

    async def fetch(self, url: str) -> None:
        """Returns when the URL is among those held. Requests for one URL share one fetch.

        Raises CertificateUnavailable.
        """
        coming = self._coming.get(url)
        if coming is None:
            coming = asyncio.get_running_loop().create_task(self._get(url))
            self._coming[url] = coming
            coming.add_done_callback(lambda _: self._coming.pop(url, None))
        await asyncio.shield(coming)

    async def _get(self, url: str) -> None:
        from flows.fetching import FetchFailed

        now = self._clock()
        self._begun = [at for at in self._begun if now - at < 60]
        if len(self._begun) >= A_MINUTE:
            raise CertificateUnavailable("too many certificates were asked for")
        self._begun.append(now)
        try:
            pem, kept = await asyncio.to_thread(self._fetch, url), KEPT
        except FetchFailed as failed:
            _log.warning("certificate_not_fetched", reason=str(failed))
            if not failed.lasting:
                raise CertificateUnavailable(str(failed)) from None
            pem, kept = b"", REFUSED_FOR
        self._keep(url, _Kept(pem, now + kept))

    def _keep(self, url: str, kept: _Kept) -> None:
        self._kept.pop(url, None)
        if len(self._kept) >= MOST:
            # Empty ones go first, so that URLs of strangers do not drive out certificates in use.
            first = min(self._kept, key=lambda one: (bool(self._kept[one].pem), self._kept[one].until))
            del self._kept[first]
        self._kept[url] = kept


def _fetched(url: str) -> bytes:
    # Loaded when first needed: few servers meet certificates, and TLS takes memory.
    from flows.fetching import Fetcher

    return Fetcher().fetch(url)
