"""`tiffin provider coverage`: points that no case reaches, fields that nothing reads or sets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.provider_folder import folder, run

FILE = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: pos
revision: 1
evidence: official
defaults: {currency: INR}
auth: {scheme: token, header: X-Key, secret: key}
lookups:
  kinds: {full: veg, none: non_veg}
feeds:
  prices:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    event: kind
    otherwise: reject
    events:
      price:
        commands:
          prices:
            command: UpdatePrice
            each: items
            when: $not(hidden = "1")
            check: {cheap: {that: '$not(rate = "0")', say: too cheap}}
            fields: {item_id: code, price: {from: rate, default: '1.00'}}
      menu:
        commands:
          items:
            command: UpsertMenuItem
            each: items
            fields: {item_id: code, food_type: {from: diet, lookup: kinds, otherwise: veg}}
    ignore:
      - {path: note, because: a remark}
"""
BODY = """{"shop": "S1", "id": "m1", "kind": "price", "note": "x", "extra": {"a": 1},
  "items": [{"code": "a", "rate": "10.50"}]}"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path, FILE, BODY)


def covered(root: Path, *more: str | Path) -> Any:
    return json.loads(run("coverage", root / "providers" / "corner.yaml", *more, "--json").output)


def missed(told: Any) -> set[str]:
    return {re.sub("^prices( price| menu)?: ", "", one["says"]) for one in told["missed"]}


def test_what_no_case_reaches_is_listed_with_its_place(root: Path) -> None:
    told = covered(root)
    assert missed(told) == {
        "event menu",
        "an event that is not listed (reject)",
        "prices: when leaves one out",
        "prices: check cheap fails",
        "prices.price: its default",
        "items emits",
        "items.food_type: lookup of 'full'",
        "items.food_type: lookup of 'none'",
        "items.food_type: a value that is not in the lookup",
    }
    lookup = next(one for one in told["missed"] if "lookup of 'none'" in one["says"])
    assert lookup["place"].endswith("corner.yaml:10:22")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"shop": "S1", "id": "m", "kind": "price", "items": [{"code": "a", "rate": "0"}]}', "check cheap fails"),
        ('{"shop": "S1", "id": "m", "kind": "price", "items": [{"code": "a"}]}', "its default"),
        ('{"shop": "S1", "id": "m", "kind": "price", "items": [{"code": "a", "hidden": 1}]}', "when leaves one out"),
        ('{"shop": "S1", "id": "m", "kind": "menu", "items": [{"code": "a", "diet": "none"}]}', "lookup of 'none'"),
        ('{"shop": "S1", "id": "m", "kind": "menu", "items": [{"code": "a", "diet": "x"}]}', "not in the lookup"),
        ('{"shop": "S1", "id": "m", "kind": "odd"}', "not listed"),
    ],
)
def test_a_body_that_reaches_a_point_takes_it_off_the_list(root: Path, body: str, says: str) -> None:
    file = root / "body.json"
    file.write_text(body)
    before, after = covered(root), covered(root, "--body", file, "--feed", "prices")
    assert any(says in one for one in missed(before))
    assert not any(says in one for one in missed(after))


def test_payload_fields_that_nothing_reads_are_listed_and_ignored_ones_are_not(root: Path) -> None:
    assert covered(root)["unread"] == {"prices": ["extra.a"]}


def test_command_fields_that_nothing_sets_are_listed(root: Path) -> None:
    assert "list_price" in covered(root)["unset"]["prices"]["prices (UpdatePrice)"]


def test_below_the_least_it_ends_with_status_1(root: Path) -> None:
    file = root / "providers" / "corner.yaml"
    assert run("coverage", file, "--min", "10").exit_code == 0
    assert run("coverage", file, "--min", "90").exit_code == 1


def test_the_page_escapes_what_payloads_say(root: Path) -> None:
    case = root / "tests" / "golden" / "corner" / "prices" / "two_prices" / "body.json"
    case.write_text(BODY.replace('"extra"', '"<script>x"'))
    page = root / "coverage.html"
    run("coverage", root / "providers" / "corner.yaml", "--html", page)
    assert "&lt;script&gt;x.a" in page.read_text()
    assert "<script>" not in page.read_text()


def test_without_a_case_it_says_so(root: Path) -> None:
    (root / "empty").mkdir()
    result = run("coverage", root / "providers" / "corner.yaml", "--samples", root / "empty")
    assert result.exit_code == 1
    assert "no golden case" in result.output
