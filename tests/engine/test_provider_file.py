import pytest

from engine.model import Constant, Expression, ListField, Mapped
from engine.problems import ProviderFileError
from engine.provider_file import parse

FILE = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: pos
revision: 1
evidence: official
auth: {scheme: token, header: X-Key, secret: key}
feeds:
  stock:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    commands:
      stock:
        command: UpdateStockLevel
        each: items
        fields:
          item_id: id
          quantity: {from: qty, unit: uom}
          condition: {value: good}
          batch: {each: batches, fields: {name: code}}
"""


def problems(old: str, new: str) -> list[tuple[str, int, int, str]]:
    assert old in FILE
    with pytest.raises(ProviderFileError) as raised:
        parse(FILE.replace(old, new), "corner.yaml")
    return [(p.code, p.place.line, p.place.column, p.hint) for p in raised.value.problems]


def test_a_field_is_told_apart_by_its_keys():
    fields = parse(FILE, "corner.yaml").feeds["stock"].commands["stock"].fields
    assert [type(spec) for spec in fields.values()] == [Expression, Mapped, Constant, ListField]


def test_an_expression_keeps_its_place():
    expression = parse(FILE, "corner.yaml").feeds["stock"].scope.store
    assert str(expression.scalar.start) == "corner.yaml:10:20"


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "column", "hint"),
    [
        ("each: items", "eech: items", "unknown_key", 15, 9, "did you mean each?"),
        ("{from: qty, unit: uom}", "{from: qty, unti: uom}", "unknown_key", 18, 33, "did you mean unit?"),
        ("{from: qty, unit: uom}", "{form: qty, unit: uom}", "unknown_key", 18, 22, "did you mean from?"),
        ("from: qty", "from_: qty", "unknown_key", 18, 22, "did you mean from?"),
        ("revision: 1", "revision: '1'", "wrong_type", 5, 11, ""),
        ("title: Corner Till", "title: 5", "wrong_type", 3, 8, 'quote it: "5"'),
        ("title: Corner Till\n", "", "missing_key", 1, 1, "add title:"),
        ("    idempotency: {event_id: [id]}\n", "", "missing_key", 9, 3, "add idempotency:"),
        ("family: pos", "family: poss", "wrong_value", 4, 9, "did you mean pos?"),
        (
            "item_id: id", "item_id: 7", "expression_expected", 17, 20,
            "write the literal as {value: 7}, or quote the expression",
        ),
        ("item_id: id", 'item_id: {"x": y}', "expression_expected", 17, 20, "quote the whole expression: '…'"),
        ("scheme: token", "scheme: tokens", "unknown_scheme", 7, 16, "did you mean token?"),
        ("{scheme: token, header: X-Key, secret: key}", "{header: X-Key}", "missing_key", 7, 1, "add scheme:"),
        ("header: X-Key", "header: X-Key, query: k", "one_location", 7, 1, "keep one of them"),
        ("each: items", "fetch: {url: 'https://a.test', feed: stock, pages: {link: true, number: true}}", "one_paging",
         15, 53, "keep one of them"),
        ("each: items", "snapshot: {within: store, guard: lots}", "percent_expected", 15, 42, "such as 30%"),
        ("{event_id: [id]}", "event_id", "wrong_value", 11, 18, "one of none"),
        ("{event_id: [id]}", "{event_id: id}", "wrong_type", 11, 29, ""),
        ("{event_id: [id]}", "{event_id: [id, 5]}", "expression_expected", 11, 34,
         "write the literal as {value: 5}, or quote the expression"),
        ("{event_id: [id]}", "{payload_hash: {window: soon}}", "duration_expected", 11, 42, "such as 10m"),
        ("feeds:", "unmapped: {itme: create}\nfeeds:", "unknown_key", 8, 12, "did you mean item?"),
        ("    scope:", "    gzip: yes\n    scope:", "wrong_type", 10, 11, ""),
        ("    scope:", "    accept: xmll\n    scope:", "wrong_value", 10, 13, "did you mean xml?"),
        ("    scope:", "    accept: {cvs: {}}\n    scope:", "unknown_key", 10, 14, "did you mean csv?"),
        ("{scheme: token, header: X-Key, secret: key}",
         "{any: [{any: [{scheme: token, hedaer: X-Key, secret: key}]}]}", "unknown_key", 7, 37, "did you mean header?"),
        ("{scheme: token, header: X-Key, secret: key}",
         "{scheme: hmac, algorithm: sha256, secret: key, signature: {header: S}, sign: [{base64: [{heder: X}]}]}",
         "unknown_key", 7, 96, "did you mean header?"),
        ("    scope:", "    accept: {csv: {seperator: ;}}\n    scope:", "unknown_key", 10, 20,
         "did you mean separator?"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_problem_at_its_place(old, new, code, line, column, hint):
    assert problems(old, new) == [(code, line, column, hint)]


def test_a_file_that_is_a_list_is_a_problem():
    with pytest.raises(ProviderFileError):
        parse("- a\n", "corner.yaml")


def test_all_mistakes_are_told_in_order_of_place():
    text = FILE.replace("revision: 1", "revision: one").replace("each: items", "eech: items").replace("X-Key", "5")
    with pytest.raises(ProviderFileError) as raised:
        parse(text, "corner.yaml")
    assert [(p.code, p.place.line) for p in raised.value.problems] == [
        ("wrong_type", 5),
        ("wrong_type", 7),
        ("unknown_key", 15),
    ]
