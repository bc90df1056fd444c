"""Keys and ids: no two facts share one, and no retelling of a fact gets a second one."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.keys import (
    CommandKeys,
    canonical_id,
    digest,
    event_id_text,
    payload_hash_text,
    scope_text,
    without,
)

OWNER = ("demo", "shop", "con_1", "stock", "m", "s")
PART = st.text(alphabet=st.sampled_from("ab:1#2é\ud800"), max_size=4)
PARTS = st.lists(PART, max_size=4)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.text(alphabet="ab1", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="xyz", max_size=2), inner, max_size=3),
    max_leaves=10,
)


def reordered(value: Any) -> Any:
    """The same document with the keys of every object turned round."""
    if isinstance(value, list):
        return [reordered(inner) for inner in value]
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return value


def command(
    rule: str = "price",
    ids: tuple[str, ...] = ("I-1",),
    data: bytes = b"{}",
    store: str = "R-1",
    claim: tuple[str, str, str] = ("demo", "shop", "event_id:1"),
) -> tuple[str, str]:
    return CommandKeys(*claim).of_rule(rule).next(store, ids, data)


def test_parts_that_join_alike_have_different_keys() -> None:
    assert event_id_text("demo", "shop", "stock", ["ab", "c"]) != event_id_text("demo", "shop", "stock", ["a", "bc"])


@given(one=PARTS, other=PARTS)
def test_digests_are_equal_only_for_equal_parts(one: list[str], other: list[str]) -> None:
    assert (digest(one) == digest(other)) == (one == other)


@given(first=PART, second=PART, parts=PARTS)
def test_two_tenants_never_share_an_event_key(first: str, second: str, parts: list[str]) -> None:
    assume(first != second)
    assert event_id_text(first, "shop", "stock", parts) != event_id_text(second, "shop", "stock", parts)


@pytest.mark.parametrize("owner", [("demo", "other", "stock"), ("demo", "shop", "menu"), ("demos", "hop", "stock")])
def test_an_event_key_belongs_to_one_provider_and_feed(owner: tuple[str, str, str]) -> None:
    assert event_id_text(*owner, ["1"]) != event_id_text("demo", "shop", "stock", ["1"])


def test_an_event_key_is_printable_and_says_what_it_is() -> None:
    assert re.fullmatch(r"event_id:[0-9a-f]{32}", event_id_text("demo", "shop", "stock", ["a\0b"]))


def test_an_event_key_stays_the_same_between_releases() -> None:
    key = event_id_text("demo", "shop", "stock", ["42", "é"])
    assert key == "event_id:adf916e0510727e285bd7f6e51540245"


def test_a_payload_key_is_printable_and_says_what_it_is() -> None:
    assert re.fullmatch(r"payload_hash:[0-9a-f]{32}", payload_hash_text(OWNER, {"a": "1"}))


def test_a_payload_key_stays_the_same_between_releases() -> None:
    assert (
        payload_hash_text(OWNER, {"b": ["1", None, True], "a": "é"}) == "payload_hash:208fda1718800afc486b04f9d2dfded9"
    )


@given(DOCUMENTS)
def test_the_order_of_an_objects_keys_does_not_matter(document: Any) -> None:
    assert payload_hash_text(OWNER, reordered(document)) == payload_hash_text(OWNER, document)


@given(one=DOCUMENTS, other=DOCUMENTS)
def test_payload_keys_are_equal_only_for_equal_payloads(one: Any, other: Any) -> None:
    assert (payload_hash_text(OWNER, one) == payload_hash_text(OWNER, other)) == (one == other)


def test_the_order_of_a_lists_elements_matters() -> None:
    assert payload_hash_text(OWNER, ["1", "2"]) != payload_hash_text(OWNER, ["2", "1"])


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("true", True), ("", None), ("null", None), ([], {})])
def test_values_that_look_alike_have_different_payload_keys(one: Any, other: Any) -> None:
    assert payload_hash_text(OWNER, {"a": one}) != payload_hash_text(OWNER, {"a": other})


@pytest.mark.parametrize("place", range(len(OWNER)))
def test_every_part_of_the_owner_tells_payload_keys_apart(place: int) -> None:
    other = tuple("other" if n == place else part for n, part in enumerate(OWNER))
    assert payload_hash_text(other, {"a": "1"}) != payload_hash_text(OWNER, {"a": "1"})


def test_scopes_that_join_alike_are_different() -> None:
    assert scope_text(["ab", "c"]) != scope_text(["a", "bc"])


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        (
            [],
            {
                "at": "1",
                "items": [{"id": "a", "at": "2"}, {"id": "b", "at": "3"}],
                "meta": {"x": {"at": "4"}},
            },
        ),
        (["at"], {"items": [{"id": "a", "at": "2"}, {"id": "b", "at": "3"}], "meta": {"x": {"at": "4"}}}),
        (["items.at"], {"at": "1", "items": [{"id": "a"}, {"id": "b"}], "meta": {"x": {"at": "4"}}}),
        (
            ["meta.*.at"],
            {"at": "1", "items": [{"id": "a", "at": "2"}, {"id": "b", "at": "3"}], "meta": {"x": {}}},
        ),
        (["items.*", "meta"], {"at": "1", "items": [{}, {}]}),
        (["*"], {}),
        (
            ["at.deeper", "nothing"],
            {
                "at": "1",
                "items": [{"id": "a", "at": "2"}, {"id": "b", "at": "3"}],
                "meta": {"x": {"at": "4"}},
            },
        ),
    ],
)
def test_paths_are_left_out(paths: list[str], left: Any) -> None:
    document = {
        "at": "1",
        "items": [{"id": "a", "at": "2"}, {"id": "b", "at": "3"}],
        "meta": {"x": {"at": "4"}},
    }
    assert without(document, paths) == left


def test_leaving_paths_out_leaves_the_document_alone() -> None:
    document = {"a": {"b": "1"}}
    without(document, ["a.b"])
    assert document == {"a": {"b": "1"}}


@given(DOCUMENTS)
def test_leaving_no_path_out_changes_nothing(document: Any) -> None:
    assert without(document, []) == document


def test_a_retold_command_has_the_same_key_and_id() -> None:
    assert command() == command()


def test_a_corrected_command_keeps_its_key_and_has_another_id() -> None:
    (key, one), (same_key, other) = command(data=b"1"), command(data=b"2")
    assert key == same_key
    assert one != other


def test_the_same_content_under_two_keys_has_two_ids() -> None:
    assert command(ids=("I-1",))[1] != command(ids=("I-2",))[1]


@pytest.mark.parametrize(
    "claim",
    [
        ("other", "shop", "event_id:1"),
        ("demo", "other", "event_id:1"),
        ("demo", "shop", "event_id:2"),
        ("dem", "oshop", "event_id:1"),
    ],
)
def test_a_command_key_belongs_to_one_claim(claim: tuple[str, str, str]) -> None:
    assert command(claim=claim)[0] != command()[0]


Entity = tuple[str, str, list[str]]
ENTITIES = st.tuples(PART, PART, PARTS)


@given(one=ENTITIES, other=ENTITIES)
def test_command_keys_are_equal_only_for_one_entity_of_one_rule(one: Entity, other: Entity) -> None:
    keys = [command(rule, tuple(ids), store=store)[0] for rule, store, ids in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@pytest.mark.parametrize(
    "other",
    [
        {"ids": ("a", "bc")},
        {"ids": ("abc",)},
        {"rule": "pri", "store": "ceR-1"},
        {"store": "R-12:ab", "ids": ("c",)},
    ],
)
def test_entities_that_join_alike_have_different_command_keys(other: Any) -> None:
    assert command(**{"ids": ("ab", "c"), **other})[0] != command(ids=("ab", "c"))[0]


def test_the_second_command_for_an_entity_has_a_key_of_its_own() -> None:
    keys = CommandKeys("demo", "shop", "event_id:1").of_rule("price")
    assert keys.next("R-1", ["I-1"], b"{}")[0] != keys.next("R-1", ["I-1"], b"{}")[0]


def test_commands_for_other_entities_in_between_change_no_key() -> None:
    alone = CommandKeys("demo", "shop", "event_id:1").of_rule("price")
    among = CommandKeys("demo", "shop", "event_id:1").of_rule("price")
    expected = [alone.next("R-1", ["I-1"], b"{}") for _ in range(2)]
    first = among.next("R-1", ["I-1"], b"{}")
    among.next("R-1", ["I-2"], b"{}")
    assert [first, among.next("R-1", ["I-1"], b"{}")] == expected


def test_rules_of_one_delivery_do_not_disturb_each_other() -> None:
    keys = CommandKeys("demo", "shop", "event_id:1")
    keys.of_rule("price").next("R-1", ["I-1"], b"{}")
    assert keys.of_rule("price").next("R-1", ["I-1"], b"{}") == command()


def test_command_keys_and_ids_are_32_hex_digits() -> None:
    key, command_id = command(ids=("é\ud800",))
    assert re.fullmatch(r"[0-9a-f]{32}", key)
    assert re.fullmatch(r"[0-9a-f]{32}", command_id)


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        ("merchant", "mer"),
        ("store", "sto"),
        ("item", "itm"),
        ("variant", "var"),
        ("category", "cat"),
        ("addon_group", "agr"),
        ("addon", "add"),
        ("order", "ord"),
    ],
)
def test_a_canonical_id_shows_its_kind(kind: str, prefix: str) -> None:
    assert re.fullmatch(rf"{prefix}_[a-z2-7]{{26}}", canonical_id("demo", "shop", kind, "", "R-17"))


def test_a_canonical_id_stays_the_same_between_releases() -> None:
    assert canonical_id("demo", "shop", "item", "R-17", "42") == "itm_qsjsxxt4dw3ggwfbueuarnnqsq"


Mention = tuple[str, str, str, str, str]
MENTIONS = st.tuples(PART, PART, st.sampled_from(["item", "store"]), PART, PART)


@given(one=MENTIONS, other=MENTIONS)
def test_canonical_ids_are_equal_only_for_one_mention(one: Mention, other: Mention) -> None:
    assert (canonical_id(*one) == canonical_id(*other)) == (one == other)
