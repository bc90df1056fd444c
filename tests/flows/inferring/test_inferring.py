"""First provider files from samples: what is inferred, and that every JSON gives a file that works or a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.checker import check
from flows.inferring import Inferred, Sample, Uninferrable, Wishes, infer
from flows.inferring.har import samples as of_archive
from flows.providers import load_text
from schemas import canon


def inferred(document: Any, *, name: str = "sample.json", headers: tuple[tuple[str, str], ...] = ()) -> Inferred:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return infer("corner", [Sample(name, body, headers)], canon())


def rule(made: Inferred, name: str, feed: str | None = None) -> Any:
    feeds = load_text(made.text, canon()).interpreter.provider.feeds
    return (feeds[feed] if feed else next(iter(feeds.values()))).commands[name]


STOCK = {"message_id": "m1", "shop": "S1", "lines": [{"sku": "A", "qty": 4}, {"sku": "B", "qty": "2.5"}]}


def test_a_stock_list_gives_levels_with_scope_and_event_id() -> None:
    made = inferred(STOCK)
    feed = load_text(made.text, canon()).interpreter.provider.feeds["stock"]
    assert str(feed.scope.store.text if feed.scope.store else "") == "shop"
    assert [part.text for part in feed.idempotency.event_id] == ["message_id"]  # type: ignore[union-attr]
    levels = rule(made, "levels")
    assert (levels.command, levels.each.text) == ("UpdateStockLevel", "lines")
    assert {name: field.text for name, field in levels.fields.items()} == {"variant_id": "sku", "quantity": "qty"}
    assert (made.cases[0].verdict, made.cases[0].commands) == ("accepted", 2)


def test_a_list_at_the_root_is_iterated() -> None:
    made = inferred([{"sku": "A", "price": "4.10"}, {"sku": "B", "price": 5}])
    assert rule(made, "prices").each.text == "$"
    assert made.cases[0].commands == 2


def test_a_lone_object_is_one_element() -> None:
    made = inferred({"order_id": "O1", "status": "shipped"})
    statuses = rule(made, "statuses")
    assert (statuses.command, statuses.each) == ("UpdateOrderStatus", None)
    assert statuses.fields["status"].lookup == {"shipped": "dispatched"}


def test_rows_of_csv_are_elements() -> None:
    made = inferred(b"sku,stock\nA,4\nB,5\n", name="stock.csv")
    assert load_text(made.text, canon()).interpreter.provider.feeds["stock"].accept == ("csv",)
    assert made.cases[0].commands == 2


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("1769000000", {"as_": "epoch_s"}),
        (1769000000123, {"as_": "epoch_ms"}),
        ("31/01/2026 10:30", {"picture": "%d/%m/%Y %H:%M"}),
    ],
)
def test_times_are_read_by_how_they_are_written(value: Any, keys: dict[str, str]) -> None:
    made = inferred({"lines": [{"sku": "A", "qty": 4, "updated_at": value}]})
    time = rule(made, "levels").fields["source_time"]
    assert {name: getattr(time, name) for name in keys} == keys


def test_a_name_that_speaks_of_cents_is_read_in_minor_units() -> None:
    made = inferred({"lines": [{"sku": "A", "price_cents": 1250}]})
    assert rule(made, "prices").fields["price"].as_ == "minor_units"


def test_a_currency_beside_the_price_is_read_with_it() -> None:
    made = inferred({"lines": [{"sku": "A", "price": {"amount": "12.50", "currency": "EUR"}}]})
    assert rule(made, "prices").fields["price"].currency.text == "price.currency"


def test_flags_in_words_become_a_lookup() -> None:
    made = inferred({"lines": [{"sku": "A", "availability": "sold_out"}, {"sku": "B", "availability": "in_stock"}]})
    found = rule(made, "availability").fields["available"]
    assert found.lookup == {"sold_out": False, "in_stock": True}


def test_names_that_are_no_identifiers_are_quoted() -> None:
    made = inferred({"stock-lines": [{"SKU Code": "A", "Stock Level": "4"}]})
    assert rule(made, "levels").fields["variant_id"].text == "`SKU Code`"
    assert made.cases[0].commands == 1


def test_a_thin_message_asks_for_a_refresh() -> None:
    made = inferred({"type": "product.updated", "product_id": "P1"})
    assert rule(made, "changes").command == "RequestRefresh"


def test_an_optional_field_that_one_element_breaks_is_left_out() -> None:
    lines = [{"sku": "A", "price": "4", "mrp": "5"}, {"sku": "B", "price": "4", "mrp": "on request"}]
    assert set(rule(inferred({"lines": lines}), "prices").fields) == {"variant_id", "price"}


def test_samples_of_different_shape_become_feeds_of_their_own() -> None:
    prices = {"changes": [{"sku": "A", "price": "4"}]}
    samples = [Sample(f"{n}.json", json.dumps(d).encode()) for n, d in enumerate((STOCK, prices))]
    made = infer("corner", samples, canon())
    assert [case.feed for case in made.cases] == ["stock", "prices"]


def test_what_nothing_reads_is_named() -> None:
    made = inferred({"lines": [{"sku": "A", "qty": 4, "hsn": "61091000"}]})
    assert "# Not read: lines.hsn" in made.text


def test_the_wishes_are_kept_and_are_no_guesses() -> None:
    wishes = Wishes(currency="EUR", family="erp", time_zone="Europe/Berlin", unit="kg")
    made = infer("corner", [Sample("s.json", json.dumps(STOCK).encode())], canon(), wishes)
    defaults = load_text(made.text, canon()).interpreter.provider.defaults
    assert (defaults.currency, defaults.unit, defaults.time_zone) == ("EUR", "kg", "Europe/Berlin")
    assert not [guess for guess in made.guesses if guess.where.startswith(("defaults", "family"))]


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ((("X-Corner-Signature", "sha256=" + "ab" * 32),), "hmac"),
        ((("Authorization", "Bearer abc"),), "token"),
        ((("Authorization", "Basic YTpi"),), "basic"),
        ((), "token"),
    ],
)
def test_authentication_is_guessed_from_headers_and_never_none(headers: Any, scheme: str) -> None:
    made = inferred(STOCK, headers=headers)
    assert load_text(made.text, canon()).interpreter.provider.auth.scheme == scheme  # type: ignore[union-attr]


def test_no_secret_of_a_header_is_kept() -> None:
    made = inferred(STOCK, headers=(("Authorization", "Bearer s3cr3t"), ("X-Webhook-Id", "w1"), ("Cookie", "s3cr3t")))
    assert made.cases[0].headers == {"Content-Type": "application/json", "X-Webhook-Id": "w1"}
    assert "s3cr3t" not in made.text
    assert "s3cr3t" not in str(made.guesses)


@pytest.mark.parametrize("document", [{}, [], "text", 5, None, [[1, 2]], {"a": {"b": "c"}}, {"rows": []}])
def test_a_sample_that_tells_nothing_gives_a_reason(document: Any) -> None:
    with pytest.raises(Uninferrable, match=r"sample\.json"):
        inferred(document)


def test_a_sample_that_is_not_readable_gives_the_reason() -> None:
    with pytest.raises(Uninferrable, match="cannot be read"):
        inferred(b'{"a": 1,')


ENTRY = {
    "request": {
        "method": "POST",
        "url": "https://receiver.example/hooks/stock-changed?x=1",
        "headers": [{"name": "X-Api-Key", "value": "s3cr3t"}, {"name": "Content-Type", "value": "application/json"}],
        "postData": {"mimeType": "application/json", "text": json.dumps(STOCK)},
    }
}


def test_requests_of_an_archive_name_feed_and_authentication() -> None:
    get = {"request": {"method": "GET", "url": "https://x.example/", "headers": []}}
    archive = json.dumps({"log": {"entries": [get, ENTRY]}})
    made = infer("corner", of_archive(archive, "a.har"), canon())
    provider = load_text(made.text, canon()).interpreter.provider
    assert list(provider.feeds) == ["stock-changed"]
    assert provider.auth.header == "X-Api-Key"  # type: ignore[union-attr]
    assert "s3cr3t" not in made.text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"log": {"entries": [1]}}', '{"log": {"entries": []}}'])
def test_what_is_no_archive_gives_a_reason(text: str) -> None:
    with pytest.raises(Uninferrable, match=r"a\.har"):
        of_archive(text, "a.har")


NAMES = st.one_of(
    st.sampled_from(["sku", "id", "qty", "price", "mrp", "name", "status", "order_id", "store", "updated_at", "open",
                     "available", "currency", "items", "event_id", "unit", "category", "barcode", "in", "and"]),
    st.text(max_size=8),
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=12),
    st.sampled_from(["4.10", "INR", "2026-02-03", "1769000000", "open", "shipped", "Y", "", "a,b", "31/01/26"]),
)  # fmt: skip
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS)
def test_any_json_gives_a_file_without_errors_that_emits_or_a_reason(document: Any) -> None:
    try:
        made = inferred(document)
    except Uninferrable as error:
        assert len(str(error)) > 20  # noqa: PT017
        return
    assert [p for p in check(made.text, "corner.yaml", canon()) if p.severity == "error"] == []
    assert made.cases[0].commands > 0
