"""Faults planted in a sound provider file, one at a time: each is named at its line, column and cause.

« and » stand round the guilty characters. Both doors are gone through: `--format json` gives the place, and what a
person reads has carets under just these characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.provider_folder import run

SOUND = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: pos
revision: 1
evidence: observed
defaults: {currency: INR, unit: each, time_zone: Asia/Kolkata}
auth:
  scheme: hmac
  algorithm: sha256
  sign: [{header: X-Time}, {value: "."}, raw_body]
  secret: signing
  signature: {header: X-Sign}
  timestamp: {header: X-Time, tolerance: 5m}
lookups:
  food: {"1": veg, "2": non_veg}
feeds:
  menu:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    let:
      shown: 'items[state = "live"]'
    commands:
      items:
        command: UpsertMenuItem
        each: $shown
        when: |
          $exists(code)
            and $not(kind = "combo")
        check:
          named: {that: "$length(name) > 1", say: a name is too short}
        fields:
          item_id: code
          name: name
          description: >-
            $join([about,
                   size], " ")
          food_type: {from: diet, lookup: food}
          price: {from: rate, as: money}
          image_urls: pictures.url
  stock:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    event: type
    events:
      level:
        commands:
          levels:
            command: UpdateStockLevel
            each: lines
            version: {from: $$.at, as: timestamp}
            fields: {item_id: code, quantity: left}
    otherwise: ignore
"""


class Fault(NamedTuple):
    """`old` of the sound file becomes `new`; the checker says `code`, and `cause` stands in what it says."""

    kind: str
    old: str
    new: str
    code: str
    cause: str


FAULTS = [
    Fault("a key is misspelt", "    commands:\n      items:", "    «comands»:\n      items:", "unknown_key",
          "did you mean commands?"),
    Fault("a key is given twice", "family: pos\n", "family: pos\n«family»: erp\n", "duplicate_key", "family"),
    Fault("a key is missing", "spec: tiffin/v1\nprovider: corner\n", "«provider»: corner\n",
          "missing_key", "add spec:"),
    Fault("a number where text belongs", "title: Corner Till", "title: «12»", "wrong_type", 'quote it: "12"'),
    Fault("a value outside its set", "family: pos", "family: «poss»", "wrong_value", "did you mean pos?"),
    Fault("a literal where an expression belongs", "name: name", "name: «7»", "expression_expected", "{value: 7}"),
    Fault("a colon cuts an expression short", "name: name", "name: «$x» ? a: b",
          "unquoted_expression", "quote this expression"),
    Fault("a scheme that is none", "scheme: hmac", "scheme: «hmca»", "unknown_scheme", "did you mean hmac?"),
    Fault("a zone that is none", "Asia/Kolkata", "«Asia/Kolkatta»", "unknown_time_zone", "Asia/Kolkata"),
    Fault("a command that is none", "command: UpsertMenuItem", "command: «UpsertMenuItm»", "unknown_command",
          "did you mean UpsertMenuItem?"),
    Fault("a field that the command has not", "name: name", "«nmae»: name", "unknown_field", "did you mean name?"),
    Fault("a field that the command needs", "        fields:\n          item_id: code\n", "        «fields»:\n",
          "missing_field", "item_id"),
    Fault("a bracket that is not closed", "price: {from: rate,", "price: {from: 'rate«[»',",
          "expression_syntax", "'[' is not closed"),
    Fault("a function that is none, in double quotes", '"$length(name) > 1"', '"«$lenght»(name) > 1"',
          "unknown_function", "did you mean $length?"),
    Fault("a function that is none, behind an escape", '"$length(name) > 1"',
          r'"$contains(name, \"x\") or «$lenght»(a)"',
          "unknown_function", "did you mean $length?"),
    Fault("a function that is none, behind a doubled quote", "'items[state = \"live\"]'",
          "'items[state = ''live'' and «$exist»(x)]'", "unknown_function", "did you mean $exists?"),
    Fault("a variable that is none, in the second line of a block",
          'and $not(kind = "combo")', 'and $not(«$kind» = "combo")',
          "unknown_variable", "$kind"),
    Fault("a function that is none, in the second line of folded text", 'size], " ")', '«$trimm»(size)], " ")',
          "unknown_function", "did you mean $trim?"),
    Fault("a variable that is misspelt", "each: $shown", "each: «$shwon»", "unknown_variable", "did you mean $shown?"),
    Fault("a number compared with a path", 'and $not(kind = "combo")', "and «qty» > 0",
          "number_comparison", "$number(qty)"),
    Fault("a function that is refused", "pictures.url", "«$eval»(pictures)", "function_refused", "unwrap"),
    Fault("the parent operator", "pictures.url", "pictures.«%».url", "parent_refused", "let"),
    Fault("a lookup that is none", "lookup: food", "lookup: «foods»", "unknown_lookup", "did you mean food?"),
    Fault("a reader that is none", "as: money", "as: «mony»", "wrong_value", "did you mean money?"),
    Fault("a reader that does not fit the field", "as: money", "as: «flag»",
          "reader_does_not_fit", "money, minor_units"),
    Fault("a value that the schema does not know", '"2": non_veg', '"2": «nonveg»',
          "value_not_allowed", "did you mean non_veg?"),
    Fault("a key that cannot tell messages apart", "    idempotency: {event_id: [id]}\n    let:",
          "    idempotency: {«event_ids»: [id]}\n    let:", "unknown_key", "did you mean event_id?"),
    Fault("events without a word for the others", SOUND[SOUND.index("  stock:"):],
          SOUND[SOUND.index("  stock:"):].replace("    otherwise: ignore\n", "").replace("stock", "«stock»"),
          "otherwise_missing", "add otherwise: reject"),
    Fault("a key that is indented too little", "          name: name", "         «name»: name", "yaml_syntax",
          "9 spaces before this key, 10 before the key above"),
    Fault("a key that is indented too much", "          name: name", "            «name»: name", "yaml_syntax",
          "12 spaces before this key, 10 before the key above"),
    Fault("a tab before a key", "family: pos", "«\t»family: pos", "yaml_syntax", "indent with spaces"),
    Fault("a text that is not closed", "title: Corner Till", "title: «\"»Corner Till",
          "yaml_syntax", 'close it with "'),
    Fault("a brace that is not closed", "fields: {item_id: code, quantity: left}",
          "fields: «{»item_id: code, quantity: left", "yaml_syntax", "close it with }"),
    Fault("a comma that is missing", "{item_id: code, quantity: left}", "{item_id: «code» quantity: left}",
          "unquoted_expression", "put a comma before quantity"),
    Fault("a bracket that is closed lines further down in vain", "$exists(code)", "$exists«(»code", "expression_syntax",
          "'(' is not closed"),
    Fault("two operands without an operator", "name: name", "name: name «title»", "expression_syntax",
          "an operator, a comma or a bracket may be missing"),
    Fault("a text of JSONata that is not closed", 'kind = "combo")', 'kind = «"»combo)', "expression_syntax",
          "close the text with the quote"),
    Fault("a name that is defined further down", "shown: 'items", "shown: «$later».items\n      later: 'items",
          "unknown_variable", "define $later further up"),
    Fault("a duration that is none", "tolerance: 5m", "tolerance: «5min»", "duration_expected", "such as 10m"),
    Fault("a part of the signed bytes that is none", "raw_body]", "«raw_bodi»]", "wrong_value",
          "did you mean raw_body?"),
    Fault("a reader of a version that is none", "as: timestamp", "as: «timestmp»", "wrong_value",
          "did you mean timestamp?"),
    Fault("a field of the payload that no sample has", "name: name", "name: «naem»", "field_in_no_sample",
          "did you mean name?"),
]  # fmt: skip

SAMPLE = {
    "shop": "R-1", "id": "e-1",
    "items": [{"state": "live", "code": "a", "kind": "dish", "name": "Dal", "about": "-", "size": "L", "diet": "1",
               "rate": "10.50", "pictures": [{"url": "https://x.example/1"}]}],
}  # fmt: skip
LEVELS = {"shop": "R-1", "id": "e-2", "type": "level", "at": "2026-01-18T11:30:00Z",
          "lines": [{"code": "a", "left": "4"}]}  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a golden case of each feed; the provider file is still to be written."""
    for feed, body in (("menu", SAMPLE), ("stock", LEVELS)):
        case = tmp_path / "tests" / "golden" / "corner" / feed / "one"
        case.mkdir(parents=True)
        (case / "body.json").write_text(json.dumps(body))
        (case / "request.yaml").write_text("why: A sample.\nheaders: {Content-Type: application/json}\n")
    (tmp_path / "providers").mkdir()
    return tmp_path


def written(checkout: Path, text: str) -> Path:
    file = checkout / "providers" / "corner.yaml"
    file.write_text(text)
    return file


def planted(fault: Fault) -> str:
    assert SOUND.count(fault.old) == 1, fault.kind
    return SOUND.replace(fault.old, fault.new)


def marked(text: str) -> tuple[str, int, int, int]:
    """The text without its marks, and line, column and length of what stood between them."""
    before, guilty, after = re.split("[«»]", text)
    return before + guilty + after, before.count("\n") + 1, len(before) - before.rfind("\n"), len(guilty)


def carets(told: str) -> Iterator[tuple[str, int, int]]:
    """Of each problem that a person reads: its first line, and column and length of its carets."""
    lines = told.splitlines()
    for at, line in enumerate(lines):
        if (found := re.fullmatch(r"    ( *)(\^+)", line)) and at > 1:
            yield lines[at - 2], len(found[1]) + 1, len(found[2])


def test_the_file_is_sound_before_a_fault_is_planted(checkout):
    done = run("check", written(checkout, SOUND))
    assert (done.exit_code, done.output) == (0, "1 file: 0 errors, 0 warnings, 0 notices\n")


def test_there_are_more_than_twenty_kinds():
    assert len({fault.kind for fault in FAULTS}) == len(FAULTS) > 40


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_a_planted_fault_is_named_at_its_line_column_and_cause(checkout, fault):
    text, line, column, length = marked(planted(fault))
    file = written(checkout, text)
    told = json.loads(run("check", file, "--format", "json").output)
    told = [one for one in told if one["severity"] == "error"] or told
    assert [(one["line"], one["column"], one["code"]) for one in told] == [(line, column, fault.code)]
    assert fault.cause in f"{told[0]['message']} {told[0]['hint']}"
    person = run("check", file).output
    first = f"{file}:{line}:{column}: {told[0]['severity']}: {told[0]['message']} [{fault.code}]"
    assert [found for found in carets(person) if found[0] == first] == [(first, column, length)]
