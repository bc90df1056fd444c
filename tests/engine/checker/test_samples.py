"""What the bodies of golden cases tell about a provider file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import schemas
from engine import checker
from tests.engine.checker.conftest import FILE

SAMPLE = {
    "shop": "R-1",
    "id": "e-1",
    "items": [{"id": "a", "qty": "5", "state": "g"}, {"id": "b", "note": {"text": "x"}}],
}
Found = list[tuple[str, str, str]]


def judged(old: str = "", new: str = "", samples: Any = None, faulty: Any = None) -> Found:
    """(code, line:column, hint) with the sample above, or others."""
    assert old in FILE
    given = {"stock": [SAMPLE]} if samples is None else samples
    found = checker.check(FILE.replace(old, new, 1), "corner.yaml", schemas.canon(), given, faulty=faulty)
    return [(p.code, f"{p.place.line}:{p.place.column}", p.hint) for p in found]


def test_a_file_whose_fields_a_sample_has_is_left_alone():
    assert judged() == []


def test_without_samples_nothing_is_said():
    assert checker.check(FILE.replace("qty", "qtty"), "corner.yaml", schemas.canon()) == []


@pytest.mark.parametrize(
    ("old", "new", "place", "hint"),
    [
        ("quantity: qty", "quantity: qtty", "18:21", "did you mean qty?"),
        ("each: items", "each: itms", "15:15", "did you mean items?"),
        ("each: items", "each: items[stat = 'g']", "15:21", "did you mean state?"),
        ("store: shop", "store: shp", "10:20", "did you mean shop?"),
        ("[id]", "[idd]", "11:30", "did you mean id?"),
        ("quantity: qty", "quantity: qty\n          batch: note.txt", "19:23", "did you mean text?"),
        ("quantity: qty", "quantity: qty\n          batch: lot", "19:18", "add a sample that has it, or correct it"),
    ],
)
def test_a_field_that_no_sample_has_is_told_where_it_is_read(old, new, place, hint):
    assert judged(old, new) == [("field_in_no_sample", place, hint)]


def test_a_name_that_stands_elsewhere_too_is_told_where_it_is_missing():
    """`shop` is a field of the message, not of its items."""
    assert judged("quantity: qty", "quantity: qty\n          batch: shop")[0][:2] == ("field_in_no_sample", "19:18")


def test_one_sample_that_has_the_field_is_enough():
    more = {"shop": "R-1", "id": "e-2", "items": [{"lot": "L-1"}]}
    assert judged("quantity: qty", "quantity: qty\n          batch: lot", {"stock": [SAMPLE, more]}) == []


def test_a_faulty_sample_shows_what_fields_there_are():
    more = {"shop": "R-1", "id": "e-2", "items": [{"lot": []}]}
    found = judged("quantity: qty", "quantity: qty\n          batch: lot", faulty={"stock": [more]})
    assert found == []


def test_what_stands_within_something_no_sample_has_is_not_judged():
    assert judged("quantity: qty", "quantity: qty\n          batch: lots.number") == []


EVENTS = """\
    event: kind
    otherwise: reject
    events:
      levels:
        commands:
          s:
            command: UpdateStockLevel
            each: items
            fields: {item_id: id, quantity: qtty}
"""


def test_events_are_judged_by_the_samples_of_their_feed():
    old = FILE[FILE.index("    commands:") :]
    assert judged(old, EVENTS, {"stock": [{**SAMPLE, "kind": "levels"}]}) == [
        ("field_in_no_sample", "20:45", "did you mean qty?")
    ]


def test_a_feed_without_a_case_is_told_at_its_name():
    assert [found[:2] for found in judged(samples={})] == [("feed_without_case", "9:3")]


def test_a_feed_all_of_whose_cases_cannot_be_decoded_has_cases():
    assert judged(samples={"stock": []}) == []


CONDITION = "quantity: qty\n          condition: {from: state, lookup: %s}"


@pytest.mark.parametrize("table", ["{d: damaged}", "{G: good}"])
def test_a_lookup_that_misses_a_value_of_a_sample_is_told(table):
    assert [found[:2] for found in judged("quantity: qty", CONDITION % table)] == [("lookup_misses_value", "19:36")]


@pytest.mark.parametrize("table", ["{g: good}", "{d: damaged}, otherwise: null"])
def test_a_lookup_that_knows_every_value_or_says_otherwise_is_left_alone(table):
    assert judged("quantity: qty", CONDITION % table) == []


def test_a_value_of_a_faulty_sample_is_meant_to_miss():
    odd = {**SAMPLE, "items": [{"id": "a", "qty": "5", "state": "?"}]}
    assert judged("quantity: qty", CONDITION % "{g: good}", faulty={"stock": [odd]}) == []


def test_an_element_that_when_leaves_out_is_not_looked_up():
    new = CONDITION % "{d: damaged}" + "\n        when: state = 'd'"
    assert judged("quantity: qty", new) == []


def test_a_named_lookup_is_told_in_the_field_that_misses_the_value():
    text = FILE.replace("quantity: qty", CONDITION % "states").replace(
        "feeds:", "lookups: {states: {d: damaged}}\nfeeds:"
    )
    found = checker.check(text, "corner.yaml", schemas.canon(), {"stock": [SAMPLE]})
    assert [(p.code, p.place.line) for p in found] == [("lookup_misses_value", 20)]


@pytest.mark.parametrize(
    "sample", [None, [], "x", {"items": "x"}, {"items": [None, [], {"state": {"a": "b"}}]}, {"items": {}}]
)
def test_odd_samples_never_stop_the_checker(sample: Any):
    judged("quantity: qty", CONDITION % "{g: good}", {"stock": [sample]})


# ---- keys ----


@pytest.mark.parametrize(
    "part",
    [
        "$request.headers.`x-delivery-attempt`", "retry_count", "delivery_id", "$request.received_at",
        "$request.headers.`x-request-id`", "meta.nonce",
    ],
)  # fmt: skip
def test_what_changes_with_each_attempt_is_no_key(found: Callable[..., Any], part):
    assert ("attempt_scoped_key", 11, 31) in found("[id]", f"['{part}']")


def test_a_name_from_let_is_followed_to_what_changes(found):
    new = "    let: {sent: $request.headers.`x-attempt`}\n    idempotency: {event_id: [$sent]}"
    assert found("    idempotency: {event_id: [id]}", new) == [("attempt_scoped_key", 12, 30)]


@pytest.mark.parametrize("part", ["event_id", "entry", "$request.headers.`webhook-id`", "order.number"])
def test_an_id_that_a_resend_keeps_is_a_key(check, part):
    assert check("[id]", f"['{part}']") == []


WINDOW = "{payload_hash: {window: 10m}}"


def test_a_state_without_time_is_not_hashed_within_a_window(found):
    assert found("{event_id: [id]}", WINDOW) == [("state_in_window", 11, 34)]


@pytest.mark.parametrize("more", ["fields:\n          source_time: at", "version: at\n        fields:"])
def test_a_state_with_a_time_may_be(check, more):
    text = FILE.replace("{event_id: [id]}", WINDOW)
    assert check("fields:", more, text) == []


def test_a_state_compared_with_the_last_message_may_be(check):
    assert check("{event_id: [id]}", "{payload_hash: {against: last}}") == []
