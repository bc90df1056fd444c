"""Mistakes in `fetch`, each told at its line and column."""

from __future__ import annotations

import pytest

import schemas
from engine.checker import check

FILE = """\
spec: tiffin/v1
provider: till
title: Till
family: pos
revision: 1
evidence: official
defaults: {currency: INR, unit: each}
auth: {scheme: token, header: X-Key, secret: key}
feeds:
  events:
    idempotency: {event_id: [event]}
    commands:
      refresh:
        command: RequestRefresh
        fields: {kind: {value: catalog}}
        fetch:
          url: https://api.till.test/v1/items
          feed: items
  items:
    idempotency: {payload_hash: {against: last}}
    commands: {items: {command: UpsertCatalogItem, each: items, fields: {item_id: id, name: name}}}
"""


def problems(old: str, new: str) -> list[tuple[str, int, int]]:
    assert FILE.count(old) == 1
    found = check(FILE.replace(old, new), "till.yaml", schemas.canon())
    return [(p.code, p.place.line, p.place.column) for p in found]


URL, FEED = "url: https://api.till.test/v1/items", "feed: items\n"


def test_a_whole_fetch_has_no_problem() -> None:
    whole = """feed: items
          method: POST
          at: href
          query: {shop: $settings.shop, limit: {value: 50}}
          body: {since: since, types: {value: [A, B]}}
          headers: {X-Version: "2"}
          auth: {secret: api_key, prefix: "Bearer "}
          pages: {cursor: meta.next, as: cursor}
          most: 10
          rate: 2
          every: 15m
"""
    assert problems(FEED, whole) == []


@pytest.mark.parametrize(
    ("written", "code", "column"),
    [
        ("at: href[", "expression_syntax", 19),
        ("query: {since: $since}", "unknown_variable", 26),
        ("query: {since: $now()}", "function_refused", 26),
        ("query: {since: [1]}", "expression_expected", 26),
        ("method: PUT", "wrong_value", 19),
        ("pages: {}", "one_paging", 11),
        ("pages: {cursor: c, next: n, as: x}", "one_paging", 11),
        ("pages: {cursor: c}", "paging_incomplete", 11),
        ("pages: {offset: n}", "paging_incomplete", 11),
        ("pages: {number: true, as: page}", "paging_incomplete", 11),
        ("pages: {link: true, as: page}", "paging_incomplete", 11),
        ("pages: {nxt: n}", "unknown_key", 19),
        ("every: often", "duration_expected", 18),
        ("rate: 0", "wrong_value", 17),
        ("auth: {token: api_key}", "unknown_key", 18),
        ("redirects: true", "unknown_key", 11),
    ],
)
def test_a_mistake_is_told_where_it_is(written: str, code: str, column: int) -> None:
    found = problems(FEED, f"feed: items\n          {written}\n")
    assert [(one[1], one[2]) for one in found if one[0] == code] == [(19, column)], found


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("url: api.till.test/v1", "fetch_url"),
        ("url: ftp://api.till.test/", "fetch_url"),
        ("url: https://user:pass@api.till.test/", "fetch_url"),
        ("url: https:///v1", "fetch_url"),
        ("url: http://api.till.test/", "fetch_plain_http"),
    ],
)
def test_a_url_that_cannot_be_asked_is_told(url: str, code: str) -> None:
    assert problems(URL, url) == [(code, 17, 16)]


def test_a_body_of_a_get_is_told_at_the_fetch() -> None:
    assert problems(FEED, "feed: items\n          body: {since: since}\n") == [("body_without_post", 16, 9)]


def test_a_feed_that_there_is_not_is_told() -> None:
    assert problems(FEED, "feed: things\n") == [("fetch_feed", 18, 17)]


def test_a_kind_that_is_no_literal_is_told() -> None:
    assert problems("{kind: {value: catalog}}", "{kind: what}") == [("fetch_kind", 16, 9)]


def test_a_fetch_of_another_command_is_told() -> None:
    changed = "command: UpsertCategory\n        fields: {category_id: id, name: name}"
    old = "command: RequestRefresh\n        fields: {kind: {value: catalog}}"
    assert ("fetch_command", 16, 9) in problems(old, changed)
