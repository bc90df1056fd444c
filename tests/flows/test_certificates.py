from __future__ import annotations

import asyncio
import threading

import pytest

from flows.certificates import A_MINUTE, KEPT, MOST, REFUSED_FOR, Certificates, CertificateUnavailable
from flows.fetching import FetchFailed

URL = "https://certs.example/a.pem"


class Host:
    """Answers with a certificate unless told to fail, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing: FetchFailed | None = None

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if self.failing is not None:
            raise self.failing
        return b"pem of " + url.encode()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fetched(certificates: Certificates, url: str = URL) -> bytes | None:
    async def run() -> bytes | None:
        if url not in certificates.held:
            await certificates.fetch(url)
        return certificates.held.get(url)

    return asyncio.run(run())


def test_a_certificate_is_kept_for_a_day(host: Host, clock: Clock) -> None:
    certificates = Certificates(host.fetch, clock)
    assert fetched(certificates) == b"pem of " + URL.encode()
    clock.now = KEPT - 1
    assert fetched(certificates)
    assert len(host.asked) == 1
    clock.now = KEPT
    assert fetched(certificates)
    assert len(host.asked) == 2


def test_what_is_not_there_is_held_as_empty_for_a_short_while(host: Host, clock: Clock) -> None:
    certificates = Certificates(host.fetch, clock)
    host.failing = FetchFailed("404", True)
    assert fetched(certificates) == b""
    clock.now = REFUSED_FOR - 1
    assert fetched(certificates) == b""
    assert len(host.asked) == 1
    clock.now, host.failing = REFUSED_FOR, None
    assert fetched(certificates)


def test_an_outage_is_told_and_not_kept(host: Host, clock: Clock) -> None:
    certificates = Certificates(host.fetch, clock)
    host.failing = FetchFailed("500", False)
    with pytest.raises(CertificateUnavailable):
        fetched(certificates)
    host.failing = None
    assert fetched(certificates)


def test_requests_for_one_url_share_a_fetch(clock: Clock) -> None:
    asked: list[str] = []
    go = threading.Event()

    def slow(url: str) -> bytes:
        asked.append(url)
        go.wait(10)
        return b"pem"

    async def run() -> None:
        certificates = Certificates(slow, clock)
        waiting = [asyncio.ensure_future(certificates.fetch(URL)) for _ in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        go.set()
        await asyncio.gather(*waiting[1:])

    asyncio.run(run())
    assert asked == [URL]


def test_strangers_urls_do_not_drive_out_a_certificate_in_use(host: Host, clock: Clock) -> None:
    certificates = Certificates(host.fetch, clock)
    fetched(certificates)
    host.failing = FetchFailed("404", True)
    for n in range(2 * MOST):
        clock.now += 3
        fetched(certificates, f"https://certs.example/{n}.pem")
    assert certificates.held[URL]
    assert len(certificates.held) <= MOST


def test_so_many_fetches_a_minute_are_the_most(host: Host, clock: Clock) -> None:
    certificates = Certificates(host.fetch, clock)
    for n in range(A_MINUTE):
        fetched(certificates, f"https://certs.example/{n}.pem")
    with pytest.raises(CertificateUnavailable):
        fetched(certificates)
    clock.now = 60
    assert fetched(certificates)
