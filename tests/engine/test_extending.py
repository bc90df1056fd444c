"""Files that extend others, and connections that override: what is merged, and what is told where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from engine import checker
from engine.extending import LONGEST_CHAIN, Source, overridden, resolve
from engine.problems import ProviderFileError
from engine.resolved_text import lines_with_origin, resolved_text
from engine.yaml12 import Document, compose

BASE = """\
spec: tiffin/v1
provider: base
title: Corner Till
family: pos
revision: 3
evidence: official
defaults: {currency: INR, unit: each}
auth: {scheme: token, header: X-Key, secret: key}
lookups:
  state: {"1": open, "0": closed}
feeds:
  stock:
    scope: {store: shop}
    idempotency: {payload_hash: {window: 10m}}
    commands:
      stock:
        command: UpdateStockLevel
        each: items
        fields:
          item_id: id
          quantity: {from: qty, unit: uom}
          source_time: at
  status:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    commands:
      status:
        command: UpdateStoreStatus
        fields:
          status: {from: state, lookup: state}
          reason: why
    replies:
      accepted: {json: {ok: true}}
"""
HEAD = "spec: tiffin/v1\nprovider: variant\nrevision: 1\nextends: base@3\n"


def sources(**files: str):
    return lambda name: Source(files[name], f"{name}.yaml") if name in files else None


def variant(over: str, base: str = BASE) -> Document:
    return resolve(HEAD + over, "variant.yaml", sources(base=base))


def data(over: str):
    document = variant(over)
    assert document.problems == ()
    return document.data


def told(over: str, base: str = BASE) -> list[tuple[str, str]]:
    found = checker.check(HEAD + over, "variant.yaml", schemas.canon(), sources=sources(base=base))
    return [(p.code, str(p.place)) for p in found]


def load(text: str, **files: str):
    return checker.load(text, "variant.yaml", schemas.canon(), sources(**files))


def test_a_file_that_changes_nothing_is_its_base_under_its_own_name_and_revision():
    read, base = load(HEAD, base=BASE), checker.load(BASE, "base.yaml", schemas.canon())
    assert (read.provider, read.revision, read.extends) == ("variant", 1, None)
    assert read.feeds == base.feeds


def test_mappings_merge_by_key_in_the_base_s_order_with_new_keys_last():
    rule = data("feeds: {stock: {commands: {stock: {fields: {batch: lot, quantity: left}}}}}\n")
    fields = rule["feeds"]["stock"]["commands"]["stock"]["fields"]
    assert list(fields.items()) == [("item_id", "id"), ("quantity", "left"), ("source_time", "at"), ("batch", "lot")]


def test_a_field_s_mapping_merges_so_that_one_option_changes():
    fields = data("feeds: {stock: {commands: {stock: {fields: {quantity: {unit: measure}}}}}}\n")
    assert fields["feeds"]["stock"]["commands"]["stock"]["fields"]["quantity"] == {"from": "qty", "unit": "measure"}


def test_null_removes():
    assert "why" not in str(data("feeds: {status: {commands: {status: {fields: {reason: null}}}}}\n"))


def test_lists_are_replaced_whole():
    feed = data("feeds: {status: {idempotency: {event_id: [a, b]}}}\n")["feeds"]["status"]
    assert feed["idempotency"] == {"event_id": ["a", "b"]}


@pytest.mark.parametrize(
    ("over", "path", "expected"),
    [
        ("feeds: {stock: {idempotency: {event_id: [id]}}}", "stock.idempotency", {"event_id": ["id"]}),
        ("feeds: {stock: {idempotency: {payload_hash: {against: last}}}}", "stock.idempotency.payload_hash",
         {"against": "last"}),
        ("feeds: {status: {replies: {accepted: {text: OK}}}}", "status.replies.accepted", {"text": "OK"}),
        ("feeds: {stock: {commands: {stock: {fields: {quantity: {value: 0}}}}}}",
         "stock.commands.stock.fields.quantity", {"value": 0}),
        ("feeds: {status: {commands: {status: {fields: {reason: {value: null}}}}}}",
         "status.commands.status.fields.reason", {"value": None}),
        ("auth: {scheme: none}", "", {"scheme": "none"}),
    ],
)  # fmt: skip
def test_keys_that_exclude_each_other_replace_one_another(over, path, expected):
    found = data(over + "\n")["feeds"] if path else data(over + "\n")["auth"]
    for step in filter(None, path.split(".")):
        found = found[step]
    assert found == expected


def test_keys_of_a_lookup_exclude_nothing():
    assert data('lookups: {state: {"json": open, "text": closed, "value": open}}\n')["lookups"]["state"] == {
        "1": "open", "0": "closed", "json": "open", "text": "closed", "value": "open",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("over", "place", "hint"),
    [
        ("feeds: {stok: {commands: {stock: {fields: {sku: id}}}}}", "5:9", "did you mean stock?"),
        ("feeds: {stock: {commands: {stok: {fields: {sku: id}}}}}", "5:28", "did you mean stock?"),
        ("feeds: {status: {commands: {status: {fields: {statu: {lookup: x}}}}}}", "5:47", "did you mean status?"),
        ("feeds: {stock: {commands: {stock: {fields: {batch: null}}}}}", "5:45", ""),
        ("feeds: {orders: null}", "5:9", "there: stock, status"),
        ("lookups: {stat: {'2': closed}}", "5:11", "did you mean state?"),
        ("lookups: {state: {'7': null}}", "5:19", ""),
        ("sensitive: null", "5:1", ""),
    ],
)
def test_overriding_or_removing_what_is_not_there_is_told_at_its_key(over, place, hint):
    (problem,) = variant(over + "\n").problems
    assert (problem.code, str(problem.place)) == ("override_missing", f"variant.yaml:{place}")
    assert hint in problem.hint


def test_what_is_new_and_whole_is_added():
    added = (
        "feeds: {prices: {idempotency: {event_id: [id]}, commands: {p: {command: UpdatePrice, "
        "fields: {item_id: id, price: price}}}}}\n"
    )
    assert list(load(HEAD + added, base=BASE).feeds) == ["stock", "status", "prices"]


@pytest.mark.parametrize(
    ("old", "new", "over", "expected"),
    [
        ("item_id: id", "item_id: $ident", "", ("unknown_variable", "base.yaml:20:20")),
        ("item_id: id", "item_id: id", "feeds: {stock: {commands: {stock: {each: $shop}}}}\n",
         ("unknown_variable", "variant.yaml:5:42")),
        ("item_id: id", "item_id: id", "feeds: {status: {commands: {status: {fields: {status: {lookup: sate}}}}}}\n",
         ("unknown_lookup", "variant.yaml:5:64")),
        ("{from: state, lookup: state}", "{from: state, lookup: sate}", "", ("unknown_lookup", "base.yaml:30:41")),
        ("item_id: id", "item_id: id", "feeds: {stock: {commands: {stock: {fields: {quantty: left}}}}}\n",
         ("unknown_field", "variant.yaml:5:45")),
        ("item_id: id", "item_id: id", "feeds: {stock: {commands: {stock: {fields: {quantity: null}}}}}\n",
         ("missing_field", "variant.yaml:5:36")),
        ("each: items", "eech: items", "", ("unknown_key", "base.yaml:18:9")),
        ("each: items", "each: items[a = (b #c)]", "", ("unquoted_expression", "base.yaml:18:15")),
        ("each: items", "each: a ? b : c", "", ("unquoted_expression", "base.yaml:18:15")),
    ],
)  # fmt: skip
def test_a_problem_of_a_merged_file_names_the_file_line_and_column_it_comes_from(old, new, over, expected):
    assert old in BASE
    assert expected in told(over, BASE.replace(old, new, 1))


def test_a_removed_lookup_that_the_base_still_names_is_told_where_it_is_named():
    assert told("lookups: {state: null}\n") == [("unknown_lookup", "base.yaml:30:41")]


def test_a_changed_expression_keeps_its_place_within_folded_text():
    over = "feeds:\n  stock:\n    commands:\n      stock:\n        each: >-\n          items\n          [$exist(id)]\n"
    assert ("unknown_function", "variant.yaml:11:12") in told(over)


@pytest.mark.parametrize(
    ("extends", "code"),
    [
        ("base", "extends_form"), ("base@", "extends_form"), ("base@0", "extends_form"), ("[base@3]", "extends_form"),
        ("3", "extends_form"), ("null", "extends_form"), ("../base@3", "extends_form"), ("bsae@3", "base_missing"),
        ("base@2", "base_revision"), ("variant@1", "extends_cycle"),
    ],
)  # fmt: skip
def test_a_base_that_cannot_be_had_is_one_problem_at_extends(extends, code):
    text = HEAD.replace("base@3", extends)
    found = checker.check(text, "variant.yaml", schemas.canon(), sources=sources(base=BASE, variant=text))
    assert [(p.code, str(p.place)) for p in found] == [(code, "variant.yaml:4:10")]


def test_a_file_alone_has_no_base():
    assert [p.code for p in checker.check(HEAD, "variant.yaml", schemas.canon())] == ["base_missing"]


def test_files_that_extend_each_other_in_a_round_are_told():
    a = HEAD.replace("variant", "a").replace("base@3", "b@1")
    b = HEAD.replace("variant", "b").replace("base@3", "a@1")
    (problem,) = checker.check(a, "a.yaml", schemas.canon(), sources=sources(a=a, b=b))
    assert (problem.code, str(problem.place)) == ("extends_cycle", "b.yaml:4:10")


def chain(length: int) -> tuple[str, dict[str, str]]:
    """A file with so many in its chain, and the others."""
    files = {"f1": BASE.replace("provider: base", "provider: f1").replace("revision: 3", "revision: 1")}
    for n in range(2, length + 1):
        files[f"f{n}"] = f"spec: tiffin/v1\nprovider: f{n}\nrevision: 1\nextends: f{n - 1}@1\n"
    return files[f"f{length}"], files


def test_the_longest_chain_resolves_and_keeps_the_places_of_the_first_file():
    text, files = chain(LONGEST_CHAIN)
    document = resolve(text, f"f{LONGEST_CHAIN}.yaml", sources(**files))
    assert document.problems == ()
    assert str(document.place_of(("feeds", "stock", "scope", "store"))) == "f1.yaml:13:20"


def test_a_longer_chain_is_told():
    text, files = chain(LONGEST_CHAIN + 1)
    document = resolve(text, f"f{LONGEST_CHAIN + 1}.yaml", sources(**files))
    assert [p.code for p in document.problems] == ["extends_too_deep"]


@pytest.mark.parametrize("key", ["provider", "revision"])
def test_name_and_revision_are_a_file_s_own(key):
    text = "\n".join(line for line in HEAD.splitlines() if not line.startswith(key)) + "\n"
    found = checker.check(text, "variant.yaml", schemas.canon(), sources=sources(base=BASE))
    assert ("missing_key", "variant.yaml:1:1") in [(p.code, str(p.place)) for p in found]


def test_a_base_that_is_no_mapping_is_told_there():
    found = checker.check(HEAD, "variant.yaml", schemas.canon(), sources=sources(base="- a\n"))
    assert [(p.code, p.place.file) for p in found] == [("wrong_type", "base.yaml")]


# ---- the resolved text ----


def test_the_resolved_text_alone_says_what_the_files_say_together():
    over = 'lookups: {state: {"9": closed}}\nfeeds: {stock: {commands: {stock: {each: "items[qty = \\"1\\"]"}}}}\n'
    text = resolved_text(variant(over))
    assert checker.load(text, "stored.yaml", schemas.canon()) == load(HEAD + over, base=BASE)


def test_the_resolved_text_does_not_change_with_comments_and_layout_of_its_files():
    one = resolved_text(variant("defaults: {unit: kg}\n"))
    other = resolved_text(variant("defaults:\n  # by weight\n  unit: 'kg'\n", BASE.replace("feeds:", "# all\nfeeds:")))
    assert one == other


def test_each_line_knows_its_file_and_line():
    document = variant('lookups: {state: {"9": closed}}\nfeeds: {stock: {commands: {stock: {each: lines}}}}\n')
    origins = {line.text.strip(): line.origin for line in lines_with_origin(document, resolved_text(document))}
    shown = {text: f"{place.file}:{place.line}" for text, place in origins.items()}
    assert shown["provider: variant"] == "variant.yaml:2"
    assert shown["title: Corner Till"] == "base.yaml:3"
    assert shown["'9': closed"] == "variant.yaml:5"
    assert shown["'1': open"] == "base.yaml:10"
    assert shown["each: lines"] == "variant.yaml:6"
    assert shown["item_id: id"] == "base.yaml:20"
    assert shown["- id"] == "base.yaml:25"


_texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Co")), max_size=20
) | st.sampled_from(
    [
        "on",
        "yes",
        "012",
        "0o17",
        "0x1f",
        "1e5",
        "12:30",
        "1_000",
        "~",
        "null",
        ".5",
        "-0",
        "a\nb\n",
        " a",
        "a: b",
        "<<",
        "=",
    ]
)
_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts.filter(lambda k: k != "<<"), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_texts.filter(lambda k: k != "<<"), _data, min_size=1, max_size=4))
def test_what_is_written_out_reads_back_equal(written):
    text = resolved_text(Document(written, "", "f.yaml", {}, {}))
    assert compose(text, "f.yaml").data == written


# ---- a connection's overrides ----


def override(text: str) -> Document:
    return overridden(resolve(BASE, "base.yaml"), text, "overrides")


def test_a_connection_overrides_fields_lookups_and_defaults():
    document = override(
        'defaults: {unit: kg}\nlookups: {state: {"2": closed}}\n'
        "feeds: {stock: {commands: {stock: {fields: {quantity: {from: left}, batch: lot}}}}}\n"
    )
    provider = checker.load_document(document, schemas.canon())
    assert provider.defaults.unit == "kg"
    assert provider.lookups["state"] == {"1": "open", "0": "closed", "2": "closed"}
    assert list(provider.feeds["stock"].commands["stock"].fields) == ["item_id", "quantity", "source_time", "batch"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("title: Other", "1:1"), ("auth: {scheme: none}", "1:1"), ("extends: base@3", "1:1"),
        ("feeds: {stock: {path: x}}", "1:17"), ("feeds: {stock: {scope: {store: x}}}", "1:17"),
        ("feeds: {stock: {idempotency: none}}", "1:17"),
        ("feeds: {stock: {commands: {stock: {each: x}}}}", "1:36"),
        ("feeds: {stock: {commands: {stock: {command: UpdatePrice}}}}", "1:36"),
    ],
)  # fmt: skip
def test_a_connection_overrides_nothing_else(text, place):
    found = checker.check_document(override(text + "\n"), schemas.canon())
    assert [(p.code, str(p.place)) for p in found] == [("override_refused", f"overrides:{place}")]


@pytest.mark.parametrize(
    "text",
    [
        "feeds: {stok: {commands: {stock: {fields: {sku: id}}}}}",
        "feeds: {stock: {commands: {other: {command: UpdatePrice, fields: {item_id: id, price: p}}}}}",
        "feeds: {stock: null}",
        "feeds: {stock: {commands: {stock: null}}}",
        "lookups: {stat: {'2': closed}}",
    ],
)
def test_a_connection_neither_adds_nor_removes_feeds_and_rules(text):
    codes = {p.code for p in checker.check_document(override(text + "\n"), schemas.canon())}
    assert codes <= {"override_missing", "override_refused"}
    assert codes


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n", "a: 'b\n", "{a: 1, a: 2}\n"])
def test_overrides_that_are_no_mapping_do_not_load(text):
    with pytest.raises(ProviderFileError) as raised:
        checker.load_document(override(text), schemas.canon())
    assert all(p.place.file == "overrides" for p in raised.value.problems)


def test_what_is_wrong_in_overrides_is_told_there():
    document = override("feeds: {stock: {commands: {stock: {fields: {quantity: '$exist(qty)'}}}}}\n")
    found = checker.check_document(document, schemas.canon())
    assert [(p.code, str(p.place)) for p in found] == [("unknown_function", "overrides:1:56")]
