"""What is new in a payload, and what is never told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import schemas
from engine.model import Provider
from flows.observing.comparing import FEW, Drift, Known, drifts
from flows.observing.enumerations import named_by_file
from flows.observing.shapes import Shape, from_json, shape_of, type_of
from flows.providers import load_text

GOLDEN = [
    {"event": "e-1", "store": "R-1", "items": [{"sku": "a", "qty": "5", "kind": "plain"}, {"sku": "b", "qty": "6.5"}]},
    {"event": "e-2", "store": "R-1", "note": "", "items": []},
]
NAMED = {"kind": frozenset({"plain", "combo"})}


def found(document: Any, golden: list[Any] | None = None, **more: Any) -> list[tuple[str, str, str]]:
    shape = shape_of(GOLDEN if golden is None else golden)
    return [(d.kind, d.path, d.value) for d in drifts(shape, document, more.pop("named", NAMED), **more)]


def item(**fields: Any) -> dict[str, Any]:
    return {"event": "e", "store": "R-1", "items": [{"sku": "z", "qty": "1", **fields}]}


def test_what_golden_cases_have_shown_is_not_new() -> None:
    assert [found(one) for one in GOLDEN] == [[], []]


@pytest.mark.parametrize(
    ("value", "type_"),
    [(None, "null"), (True, "boolean"), ("", "empty"), ("5", "number"), ("-4.10", "number"), ("1e3", "number"),
     ("a", "text"), ("1,5", "text"), ([], "list"), ({}, "object")],
)  # fmt: skip
def test_types_are_those_that_matter_to_a_provider_file(value: Any, type_: str) -> None:
    assert type_of(value) == type_


def test_a_new_field_is_told_once_with_its_topmost_path() -> None:
    assert found(item(size={"code": "L", "cm": "4"})) == [("new_field", "items[].size", "object")]


@pytest.mark.parametrize(("value", "type_"), [(None, "null"), ("ask", "text"), ("", "empty"), (["5"], "list")])
def test_a_new_type_is_told(value: Any, type_: str) -> None:
    assert found(item(qty=value)) == [("new_type", "items[].qty", type_)]


def test_a_number_where_text_was_shown_is_no_news() -> None:
    assert found(item(sku="4711")) == []


def test_a_new_value_of_what_the_file_compares_is_told_in_any_case_of_its_letters() -> None:
    assert found(item(kind="thali")) == [("new_value", "items[].kind", "thali")]
    assert found(item(kind="COMBO")) == []


def test_free_text_is_never_told() -> None:
    assert found(item(sku="anything"), named={}) == []


def test_few_codes_that_golden_cases_repeat_are_an_enumeration() -> None:
    golden = [{"state": state} for state in ("open", "shut") * 4]
    assert found({"state": "away"}, golden, named={}) == [("new_value", "state", "away")]
    assert found({"state": "away"}, golden[:6], named={}) == []


def test_names_of_people_are_no_enumeration() -> None:
    golden = [{"by": name} for name in ("Asha K", "Ravi B") * 4]
    assert found({"by": "Mira D"}, golden, named={}) == []


def test_a_long_value_is_told_without_its_text() -> None:
    assert found(item(kind="call me at 555 0199 please")) == [("new_value", "items[].kind", "(not shown)")]


def test_objects_keyed_by_ids_are_one_path() -> None:
    golden = [{"stock": {"10012": {"qty": "1"}, "10013": {"qty": "2"}}}]
    assert found({"stock": {"99881": {"qty": "7"}}}, golden) == []
    assert found({"stock": {"99881": {"qty": "7", "lot": "x"}}}, golden) == [("new_field", "stock.*.lot", "text")]


def test_a_key_that_looks_like_an_id_is_told_without_it() -> None:
    assert found({**item(), "7f9c2ba4e88f827d616045507605853e": "x"}) == [("new_field", "*", "text")]


def test_a_new_field_beside_ids_is_one_of_its_own() -> None:
    golden = [{"stock": {"10012": "1", "unit": "kg"}}]
    assert found({"stock": {"99881": "7", "lot": "x"}}, golden) == [("new_field", "stock.lot", "text")]


def test_attributes_of_xml_are_fields() -> None:
    assert found({"line": {"@no": "1", "@lot": "2"}}, [{"line": {"@no": "1"}}]) == [
        ("new_field", "line.`@lot`", "number")
    ]


def test_declared_and_sensitive_paths_are_left_alone() -> None:
    assert found(item(size="L"), ignored=(("items", "size"),)) == []
    assert found({**item(), "meta": {"a": "b"}}, ignored=(("meta",),)) == []
    told = found(item(kind="thali"), hidden=(("items", "kind"),))
    assert told == [("new_value", "items[].kind", "(not shown)")]


def test_a_learned_shape_comes_back_from_json_without_values() -> None:
    told = shape_of(GOLDEN).to_json()
    assert "R-1" not in str(told)
    again = from_json(told)
    assert [list(drifts(again, one, NAMED)) for one in GOLDEN[1:]] == [[]]
    assert [d.path for d in drifts(again, item(size="L"), {})] == ["items[].size"]


# ---- what varies ----


def drift(path: str, kind: Any = "new_field", value: str = "text") -> Drift:
    return Drift(kind, path, value, "", ())


def test_many_new_fields_of_one_object_become_one_that_varies() -> None:
    known = Known(set())
    told = [known.noted(drift(f"attributes.key{n}")) for n in "abcdefghijkl"]
    assert [first for _, first in told].count(True) == FEW + 1
    assert {one.path for one, _ in told[FEW:]} == {"attributes.*"}
    assert known.noted(drift("items[].size"))[1]


def test_many_new_values_of_one_path_become_one_that_varies() -> None:
    known = Known({("new_value", "kind", f"v{n}") for n in range(FEW)})
    one, first = known.noted(drift("kind", "new_value", "other"))
    assert (one.value, first) == ("*", True)
    assert known.noted(drift("kind", "new_value", "more"))[1] is False
    assert "no more of them are told" in one.says("stock")


# ---- what the file names ----


def provider(name: str) -> Provider:
    text = (Path(__file__).parents[3] / "providers" / f"{name}.yaml").read_text()
    return load_text(text, schemas.canon()).interpreter.provider


def test_values_that_a_file_compares_looks_up_or_routes_by_are_known() -> None:
    petpooja = provider("petpooja")
    assert named_by_file(petpooja, petpooja.feeds["inventory"])["type"] == {"item", "addon"}
    found = named_by_file(petpooja, petpooja.feeds["menu"])
    assert any(set(petpooja.lookups[name]) <= values for name in petpooja.lookups for values in found.values())


@pytest.mark.parametrize("name", sorted(p.stem for p in (Path(__file__).parents[3] / "providers").glob("*.yaml")))
def test_every_shipped_file_is_without_drift_on_its_own_golden_cases(name: str) -> None:
    from flows.samples import samples_of

    loaded = provider(name) if name != "x" else None
    assert loaded is not None
    sound, _ = samples_of(Path(__file__).parents[1].parent / "golden", loaded)
    for feed, documents in sound.items():
        shape: Shape = shape_of(documents)
        named = named_by_file(loaded, loaded.feeds[feed])
        assert [list(drifts(shape, one, named)) for one in documents] == [[] for _ in documents]
