"""What a fetch asks for, first and next."""

from __future__ import annotations

from typing import Any

import pytest

from engine.fetch_model import Fetch
from engine.fetching import Ask, Expressions, FetchRefused, first_ask, joined, next_ask, next_link, origin, with_query

URL = "https://api.shop.test/v1/items"
PLAIN = Expressions({}, "jlens")


def fetch(**keys: Any) -> Fetch:
    return Fetch.model_validate({"url": URL, "feed": "items", **keys})


def first(spec: Fetch, **data: Any) -> Ask:
    return first_ask(spec, data, PLAIN)


def following(spec: Fetch, document: Any, ask: Ask | None = None, page: int = 1, link: str | None = None) -> Ask | None:
    return next_ask(spec, ask or first(spec), page, document, link, PLAIN)


def refusal(*arguments: Any, **keywords: Any) -> str:
    with pytest.raises(FetchRefused) as raised:
        following(*arguments, **keywords)
    return raised.value.code


# ---- the first page ----


def test_a_get_asks_with_what_is_defined_alone() -> None:
    spec = fetch(query={"since": "since", "store": "store_id", "limit": {"value": 50}})
    assert first(spec, store_id="sto 1").url == f"{URL}?store=sto+1&limit=50"


def test_a_post_asks_with_a_body_and_leaves_out_what_is_empty() -> None:
    spec = fetch(method="POST", body={"begin": "since", "id": "id", "types": {"value": ["A"]}, "all": {"value": True}})
    assert first(spec, since="", id="7") == Ask(URL, {"id": "7", "types": ["A"], "all": True})


def test_a_reference_of_the_command_is_asked_at_the_host_of_the_file() -> None:
    assert first(fetch(at="href"), href="/v1/items/7?full=1#top").url == "https://api.shop.test/v1/items/7?full=1"


def test_settings_of_the_connection_are_in_reach() -> None:
    spec = fetch(query={"shop": "$settings.shop"})
    assert first_ask(spec, {}, Expressions({"shop": "s-1"}, "jlens")).url == f"{URL}?shop=s-1"


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.test/x",
        "//evil.test/x",
        "http://api.shop.test/v1",
        "https://api.shop.test:444/v1",
        "https://user@api.shop.test/v1",
        "https://api.shop.test@evil.test/",
        "file:///etc/passwd",
        "https://api.shop.test/\r\nx: y",
        "https://api.shop.test/" + "a" * 20_000,
        "http://[::1",
    ],
)
def test_nothing_is_asked_anywhere_else(href: str) -> None:
    with pytest.raises(FetchRefused) as raised:
        first(fetch(at="href"), href=href)
    assert raised.value.code in ("fetch_other_host", "fetch_unreadable")


def test_what_gives_no_single_value_is_refused() -> None:
    with pytest.raises(FetchRefused, match="gives no single value"):
        first(fetch(query={"id": "ids"}), ids=["1", "2"])


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(FetchRefused, match="does not work"):
        first(fetch(query={"id": "$number(id)"}), id="x")


# ---- what follows ----


def test_without_paging_there_is_one_page() -> None:
    assert following(fetch(), {"cursor": "c"}) is None


def test_a_cursor_goes_into_the_query_in_the_place_of_the_last() -> None:
    spec = fetch(query={"limit": {"value": 2}}, pages={"cursor": "meta.next", "as": "after"})
    second = following(spec, {"meta": {"next": "a&b"}})
    assert second == Ask(f"{URL}?limit=2&after=a%26b")
    assert following(spec, {"meta": {"next": "c"}}, second, 2) == Ask(f"{URL}?limit=2&after=c")
    assert following(spec, {"meta": {"next": None}}, second, 2) is None


def test_a_cursor_of_a_search_goes_into_its_body() -> None:
    spec = fetch(method="POST", body={"limit": {"value": 2}}, pages={"cursor": "cursor", "as": "cursor"})
    assert following(spec, {"cursor": "c2"}) == Ask(URL, {"limit": 2, "cursor": "c2"})


def test_a_link_of_the_page_is_followed_on_the_same_host() -> None:
    spec = fetch(pages={"next": "links.next"})
    assert following(spec, {"links": {"next": "/v1/items?page=2"}}) == Ask(f"{URL}?page=2")
    assert following(spec, {"links": {}}) is None
    assert refusal(spec, {"links": {"next": "https://evil.test/"}}) == "fetch_other_host"


def test_a_link_header_is_followed() -> None:
    spec = fetch(pages={"link": True})
    assert following(spec, {}, link=f"{URL}?page_info=x") == Ask(f"{URL}?page_info=x")
    assert following(spec, {}) is None


def test_pages_are_counted_while_there_are_more() -> None:
    spec = fetch(pages={"number": True, "as": "page", "more": "$count(items) > 0"})
    assert following(spec, {"items": ["a"]}, page=3) == Ask(f"{URL}?page=4")
    assert following(spec, {"items": []}) is None


def test_an_offset_is_the_sum_of_what_came() -> None:
    spec = fetch(query={"limit": {"value": 2}}, pages={"offset": "$count(items)", "as": "offset"})
    second = following(spec, {"items": ["a", "b"]})
    assert second == Ask(f"{URL}?limit=2&offset=2")
    assert following(spec, {"items": ["c"]}, second, 2) == Ask(f"{URL}?limit=2&offset=3")
    assert following(spec, {"items": []}, second, 2) is None


def test_an_offset_of_a_search_is_a_number_in_its_body() -> None:
    spec = fetch(method="POST", pages={"offset": "$count(items)", "as": "from"})
    assert following(spec, {"items": ["a"]}, Ask(URL, {"from": 4})) == Ask(URL, {"from": 5})


def test_an_offset_that_is_no_count_is_refused() -> None:
    assert refusal(fetch(pages={"offset": "n", "as": "from"}), {"n": "-1"}) == "fetch_unreadable"


def test_a_cursor_of_a_megabyte_is_refused() -> None:
    assert refusal(fetch(pages={"cursor": "c", "as": "c"}), {"c": "x" * 1_000_000}) == "fetch_unreadable"


def test_what_is_to_be_asked_comes_back_from_its_text() -> None:
    for ask in (Ask(URL), Ask(URL, {"types": ["A"], "cursor": "ü", "n": 3, "all": True})):
        assert Ask.from_text(ask.as_text()) == ask


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://a.test/2>; rel="next"', "https://a.test/2"),
        ('<https://a.test/1>; rel="previous", <https://a.test/3>; rel="next"', "https://a.test/3"),
        ("</2>; rel=next", "/2"),
        ('</2>; title="x"; rel="last next"', "/2"),
        ('</2>; rel="nextish"', None),
        ("", None),
        ("<" * 100_000, None),
    ],
)
def test_the_next_link_is_found(header: str, target: str | None) -> None:
    assert next_link(header) == target


def test_a_query_keeps_what_it_has() -> None:
    assert with_query("https://a.test/?b=1&a=%20&c", {"b": "2"}) == "https://a.test/?a=%20&c&b=2"


def test_ports_that_are_the_default_are_the_same_origin() -> None:
    assert origin("https://a.test:443/x") == origin("https://a.test/y")
    assert joined(fetch(), URL, "https://api.shop.test:443/v2") == "https://api.shop.test:443/v2"
