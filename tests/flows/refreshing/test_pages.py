"""A page that is got from a provider: what is believed of the answer, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.fetching import Ask, FetchRefused
from flows.refreshing.pages import Page, Pages, Resolve, TryAgain, addresses_of
from tests.recorded import Answer, Recorded, Script, endless, page

NOW = datetime(2026, 2, 3, 9, tzinfo=UTC)
LOCAL = ("127.0.0.0/8",)
JSON = (("Content-Type", "application/json"),)


async def got(
    recorded: Recorded,
    *,
    allow: tuple[str, ...] = LOCAL,
    ask: Ask | None = None,
    limit: int = 10_000,
    seconds: float = 5.0,
    accepted: tuple[str, ...] = ("json",),
    resolve: Resolve = addresses_of,
) -> Page | None:
    pages = Pages(allow, seconds, lambda: NOW, resolve)
    return await pages.get(ask or Ask(f"{recorded.url}/v1/items"), {"X-Key": "k-1"}, limit, accepted)


def get(script: Script | Answer, **options: Any) -> tuple[Page | None, Recorded]:
    with Recorded(script if callable(script) else lambda _, __: script) as recorded:
        return asyncio.run(got(recorded, **options)), recorded


def refused(script: Script | Answer, **options: Any) -> str:
    with pytest.raises(FetchRefused) as raised:
        get(script, **options)
    return raised.value.code


def put_off(script: Script | Answer, **options: Any) -> TryAgain:
    with pytest.raises(TryAgain) as raised:
        get(script, **options)
    return raised.value


def test_a_page_comes_with_its_bytes_its_headers_and_its_link() -> None:
    found, recorded = get(page({"items": []}, Link='</2>; rel="next"'))
    assert found is not None
    assert (found.body, found.link) == (b'{"items": []}', '</2>; rel="next"')
    assert (b"content-type", b"application/json") in found.headers
    (asked,) = recorded.asked
    assert (asked.method, asked.path, asked.headers["x-key"]) == ("GET", "/v1/items", "k-1")
    assert asked.headers["host"] == recorded.url.removeprefix("http://")


def test_a_search_is_posted_as_json() -> None:
    with Recorded(lambda _, __: page({})) as recorded:
        asyncio.run(got(recorded, ask=Ask(f"{recorded.url}/search", {"begin": "x"})))
    (asked,) = recorded.asked
    assert (asked.method, asked.json, asked.headers["content-type"]) == ("POST", {"begin": "x"}, "application/json")


def test_no_content_is_no_page() -> None:
    assert get(Answer(204, headers=()))[0] is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_its_target_not_asked(status: int) -> None:
    def script(number: int, _: Any) -> Answer:
        return Answer(status, headers=(("Location", "/elsewhere"),)) if number == 0 else page({})

    with Recorded(script) as recorded, pytest.raises(FetchRefused) as raised:
        asyncio.run(got(recorded))
    assert raised.value.code == "fetch_redirected"
    assert len(recorded.asked) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_secret_that_is_not_believed_is_not_tried_again(status: int) -> None:
    assert refused(Answer(status)) == "fetch_unauthorized"


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_a_question_that_is_refused_is_not_tried_again(status: int) -> None:
    assert refused(Answer(status)) == "fetch_refused"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_provider_that_is_busy_is_asked_again(status: int) -> None:
    assert put_off(Answer(status)).after is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        ("Tue, 03 Feb 2026 09:00:30 GMT", 30.0),
        ("Tue, 03 Feb 2026 08:00:00 GMT", 0.0),
        ("99999999999999999999", 3600.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date_and_bounded(said: str, seconds: float | None) -> None:
    assert put_off(Answer(429, headers=(("Retry-After", said),))).after == seconds


def test_a_page_with_a_length_beyond_the_limit_is_refused() -> None:
    assert refused(Answer(200, b"[" + b"1," * 10_000 + b"1]")) == "fetch_too_large"


def test_a_page_that_never_ends_is_refused_at_the_limit() -> None:
    assert refused(Answer(200, chunks=endless(b"1" * 4096))) == "fetch_too_large"


def test_a_page_that_never_comes_is_given_up_in_time() -> None:
    def dripping() -> Any:
        import threading

        while True:
            threading.Event().wait(0.05)
            yield b" "

    error = put_off(Answer(200, headers=JSON, chunks=dripping()), seconds=0.4)
    assert error.code == "fetch_too_slow"


def test_a_page_that_is_cut_off_is_asked_for_again() -> None:
    short = Answer(200, headers=(*JSON, ("Content-Length", "500")), chunks=[b'{"items"'])
    assert put_off(short).code == "fetch_unreachable"


@pytest.mark.parametrize("said", ["text/html; charset=utf-8", "text/csv", "application/xml"])
def test_a_page_of_another_type_than_the_feed_takes_is_refused(said: str) -> None:
    assert refused(Answer(200, b"<html>", (("Content-Type", said),))) == "fetch_wrong_type"


@pytest.mark.parametrize("said", ["application/vnd.shop+json", "text/plain", ""])
def test_a_label_that_says_nothing_to_the_contrary_is_let_pass(said: str) -> None:
    assert get(Answer(200, b"{}", (("Content-Type", said),)))[0] is not None


# ---- where it is asked ----


def test_an_address_that_is_not_public_is_refused_and_not_asked() -> None:
    with Recorded(lambda _, __: page({})) as recorded, pytest.raises(FetchRefused) as raised:
        asyncio.run(got(recorded, allow=()))
    assert raised.value.code == "fetch_private_address"
    assert recorded.asked == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
)
def test_a_name_that_leads_to_an_address_of_ours_is_refused(address: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34", address]

    assert refused(page({}), allow=(), ask=Ask("https://api.shop.test/"), resolve=resolve) == "fetch_private_address"


def test_without_tls_a_public_address_is_not_asked() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34"]

    assert refused(page({}), allow=(), ask=Ask("http://api.shop.test/"), resolve=resolve) == "fetch_plain_http"


def test_the_address_that_was_looked_at_is_the_one_that_is_asked() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        assert host == "api.shop.test"
        return ["127.0.0.1"]

    with Recorded(lambda _, __: page({})) as recorded:
        port = recorded.url.rpartition(":")[2]
        asyncio.run(got(recorded, ask=Ask(f"http://api.shop.test:{port}/x"), resolve=resolve))
    assert recorded.asked[0].headers["host"] == f"api.shop.test:{port}"


def test_a_host_without_an_address_is_asked_again_later() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    assert put_off(page({}), resolve=resolve).code == "fetch_unreachable"


def test_a_host_that_takes_no_connection_is_asked_again_later() -> None:
    with Recorded(lambda _, __: page({})) as recorded:
        url = recorded.url
    with pytest.raises(TryAgain) as raised:
        asyncio.run(got(recorded, ask=Ask(url)))
    assert raised.value.code == "fetch_unreachable"


def test_a_provider_that_speaks_no_tls_is_asked_again_later() -> None:
    with Recorded(lambda _, __: page({})) as recorded:
        ask = Ask(recorded.url.replace("http:", "https:"))
        with pytest.raises(TryAgain) as raised:
            asyncio.run(got(recorded, ask=ask))
    assert raised.value.code == "fetch_unreachable"
