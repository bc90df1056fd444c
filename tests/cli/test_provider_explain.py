"""`tiffin provider explain`: values back to lines and payload paths; elements that were left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.provider_folder import BODY, CONTEXT, FILE, folder, run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path)


def explained(root: Path, *more: str | Path) -> Any:
    body = root / "body.json"
    if not body.exists():
        body.write_text(BODY)
    file = root / "providers" / "corner.yaml"
    result = run("explain", file, "--feed", "prices", "--body", body, *more, "--json")
    assert result.output, result.exception
    return json.loads(result.output)


def place(text: str) -> str:
    line = next(n for n, one in enumerate(FILE.splitlines(), 1) if text in one)
    return f"corner.yaml:{line}:{FILE.splitlines()[line - 1].index(text) + 1}"


def test_a_value_is_traced_to_its_line_and_payload_path(root: Path) -> None:
    price = explained(root, "--field", "0.price")
    assert price["value"] == {"amount": "10.50", "currency": "INR"}
    assert price["reads"] == [{"path": "items[0].rate", "there": True, "value": "10.50"}]
    assert (price["expression"], price["reader"]) == ("rate", "money")
    assert price["place"].endswith(place("rate}"))


def test_an_id_names_its_external_id_and_how_it_was_resolved(root: Path) -> None:
    context = root / "context.yaml"
    context.write_text(CONTEXT)
    fields = explained(root, "--context", context)["commands"][0]["fields"]
    store, item = fields["store_id"]["identity"], fields["item_id"]["identity"]
    assert (store["kind"], store["external_id"], store["by"]) == ("store", "S1", "mapping")
    assert (item["kind"], item["external_id"], item["by"]) == ("item", "a", "created")
    assert fields["store_id"]["from"].startswith("scope `shop` at ")


def test_an_element_left_out_by_when_names_it_with_what_it_read(root: Path) -> None:
    left = explained(root)["left_out"][0]
    assert (left["path"], left["by"]) == ("items[1]", "when")
    assert left["place"].endswith(place('$not(kind = "combo")'))
    assert left["reads"] == [{"path": "items[1].kind", "there": True, "value": "combo"}]


def test_an_element_that_failed_names_the_failure(root: Path) -> None:
    left = explained(root)["left_out"][1]
    assert (left["path"], left["by"]) == ("items[2]", "failure validation/not_money")
    assert left["place"].endswith(place("rate}"))


def test_an_element_left_out_by_a_check_names_it(root: Path) -> None:
    file = root / "providers" / "corner.yaml"
    check = "        check: {cheap: {that: '$not(code = \"a\")', say: too cheap}}\n        fields:"
    file.write_text(file.read_text().replace("        fields:", check))
    left = explained(root)["left_out"][0]
    assert (left["path"], left["by"], left["because"]) == ("items[0]", "check cheap", "Too cheap.")


def test_names_and_lookups_are_part_of_the_chain(root: Path) -> None:
    file = root / "providers" / "corner.yaml"
    changed = file.read_text().replace(
        "price: rate", "price: {from: $rupees, lookup: {'10.50': {amount: '1.00', currency: INR}}}"
    )
    file.write_text(changed.replace("        when:", "        let: {rupees: rate}\n        when:"))
    price = explained(root, "--field", "0.price")
    assert price["lookup"] == {"table": "its own table", "key": "10.50"}
    assert price["lets"][0]["reads"] == [{"path": "items[0].rate", "there": True, "value": "10.50"}]


def test_the_key_names_its_recipe(root: Path) -> None:
    key = explained(root)["idempotency_key"]
    assert (key["strategy"], [part["expression"] for part in key["parts"]]) == ("event_id", ["id"])


def test_a_token_that_does_not_fit_ends_with_status_1_and_never_shows_the_secret(root: Path) -> None:
    body = root / "body.json"
    body.write_text(BODY)
    file = root / "providers" / "corner.yaml"
    result = run("explain", file, "--feed", "prices", "--body", body, "--header", "X-Key: Bearer k3y-of-corner",
                 "--secret", "key=k3y-of-corner")  # fmt: skip
    assert result.exit_code == 1
    assert "matches if the prefix is Bearer" in result.output
    assert "k3y-of-corner" not in result.output


def test_a_body_that_cannot_be_read_is_told(root: Path) -> None:
    (root / "body.json").write_text("{")
    told = explained(root)
    assert (told["verdict"], told["commands"]) == ("rejected", [])
    assert told["failures"][0]["code"].startswith("body_")


@pytest.mark.parametrize(("field", "says"), [("9.price", "3 commands|1 commands"), ("0.prize", "no field prize")])
def test_a_field_that_is_not_there_is_named(root: Path, field: str, says: str) -> None:
    (root / "body.json").write_text(BODY)
    file = root / "providers" / "corner.yaml"
    result = run("explain", file, "--feed", "prices", "--body", root / "body.json", "--field", field)
    assert result.exit_code == 1
    assert any(one in result.output for one in says.split("|"))
