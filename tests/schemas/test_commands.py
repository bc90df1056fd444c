"""The canonical commands: every schema is sound, says what it must, and its examples hold."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import schemas
from engine.keys import canonical_id
from engine.readers import READERS

FOLDER = Path(schemas.__file__).parent / "commands"
NAMES = sorted(schemas.canon().commands)
IDENTITIES = {
    "merchant_id": "merchant",
    "store_id": "store",
    "item_id": "item",
    "item_ids": "item",
    "variant_id": "variant",
    "category_id": "category",
    "category_ids": "category",
    "parent_id": "category",
    "addon_group_id": "addon_group",
    "nested_groups": "addon_group",
    "addon_id": "addon",
    "order_id": "order",
}
REQUIRED = {
    "UpsertStore": {"store_id"},
    "UpsertMenuItem": {"item_id", "store_id"},
    "UpsertCatalogItem": {"item_id"},
    "UpsertVariant": {"variant_id", "item_id"},
    "UpsertCategory": {"category_id"},
    "UpsertAddonGroup": {"addon_group_id"},
    "UpdatePrice": {"price"},
    "UpdateStockLevel": {"quantity"},
    "RecordStockMovement": {"quantity", "reason"},
    "UpdateItemAvailability": {"available"},
    "UpdateStoreStatus": {"store_id", "status"},
    "UpdateOrderStatus": {"order_id", "status"},
    "Retire": set(),
    "RequestRefresh": {"kind"},
}
ONE_OF = {
    "UpdatePrice": ("item_id", "variant_id", "addon_id"),
    "UpdateStockLevel": ("item_id", "variant_id"),
    "RecordStockMovement": ("item_id", "variant_id"),
    "UpdateItemAvailability": ("item_id", "variant_id", "addon_id"),
    "Retire": ("item_id", "variant_id", "category_id", "addon_group_id", "addon_id", "store_id"),
}
EXAMPLES = [
    pytest.param(name, example, id=f"{name}-{number}")
    for name in NAMES
    for number, example in enumerate(schemas.canon().commands[name].schema["examples"])
]


def example_of(name: str) -> dict[str, Any]:
    first: dict[str, Any] = schemas.canon().commands[name].schema["examples"][0]
    return first


def test_the_canon_has_exactly_the_commands_of_the_contract() -> None:
    assert set(NAMES) == set(REQUIRED)


def test_the_canon_is_made_once() -> None:
    assert schemas.canon() is schemas.canon()


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_sound(name: str) -> None:
    Draft202012Validator.check_schema(schemas.schema(f"commands/{name}.v1"))


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_names_itself(name: str) -> None:
    schema = schemas.schema(f"commands/{name}.v1")
    assert schema["$id"] == f"https://tiffin.dev/schemas/commands/{name}.v1.schema.json"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_keeps_the_form_that_makes_changes_readable(name: str) -> None:
    text = (FOLDER / f"{name}.v1.schema.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_example_is_valid(name: str, example: dict[str, Any]) -> None:
    assert schemas.canon().commands[name].explain(example) == []


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_example_without_merchant_is_not_valid(name: str, example: dict[str, Any]) -> None:
    rest = {field: value for field, value in example.items() if field != "merchant_id"}
    assert not schemas.canon().commands[name].valid(rest)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_unknown_field_is_not_valid(name: str, example: dict[str, Any]) -> None:
    assert not schemas.canon().commands[name].valid({**example, "colour": "red"})


@pytest.mark.parametrize("name", NAMES)
def test_a_command_requires_what_the_contract_says(name: str) -> None:
    assert schemas.canon().commands[name].required == REQUIRED[name] | {"merchant_id"}


@pytest.mark.parametrize("name", NAMES)
def test_a_command_about_one_of_several_kinds_says_which(name: str) -> None:
    assert schemas.canon().commands[name].one_of == ONE_OF.get(name, ())


@pytest.mark.parametrize("name", sorted(ONE_OF))
def test_a_command_about_no_entity_is_not_valid(name: str) -> None:
    bare = {field: value for field, value in example_of(name).items() if field not in ONE_OF[name]}
    assert not schemas.canon().commands[name].valid(bare)


@pytest.mark.parametrize("name", NAMES)
def test_a_subject_is_a_field_of_the_command(name: str) -> None:
    command = schemas.canon().commands[name]
    assert command.subject
    assert set(command.subject) <= set(command.fields)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_carries_merchant_store_time_and_version(name: str) -> None:
    carried = {"merchant_id", "store_id", "source_time", "source_version"}
    assert carried <= set(schemas.canon().commands[name].fields)


def fields_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """(name, schema, whether required) of each field at any depth, but for what one reader reads whole."""
    for name, field in schema.get("properties", {}).items():
        yield name, field, name in schema.get("required", ())
        if field.get("items"):
            yield from fields_of(field["items"])


FIELDS = [
    pytest.param(field, schema, required, id=f"{name}.{field}")
    for name in NAMES
    for field, schema, required in fields_of(schemas.schema(f"commands/{name}.v1"))
]


@pytest.mark.parametrize(("field", "schema", "required"), FIELDS)
def test_a_field_is_described(field: str, schema: dict[str, Any], required: bool) -> None:
    assert schema["description"].endswith(".")


@pytest.mark.parametrize(("field", "schema", "required"), FIELDS)
def test_a_field_names_a_reader_that_there_is(field: str, schema: dict[str, Any], required: bool) -> None:
    scalar = schema.get("items", schema)
    assert "properties" in scalar or scalar["x-reader"] in READERS


@pytest.mark.parametrize(("field", "schema", "required"), FIELDS)
def test_an_identity_says_its_kind(field: str, schema: dict[str, Any], required: bool) -> None:
    scalar = schema.get("items", schema)
    if "properties" not in scalar or scalar.get("x-reader"):
        assert scalar.get("x-identity") == IDENTITIES.get(field)


@pytest.mark.parametrize(("field", "schema", "required"), FIELDS)
def test_a_field_can_be_cleared_unless_it_is_required_an_identity_or_a_name(
    field: str, schema: dict[str, Any], required: bool
) -> None:
    nullable = "null" in schema.get("type", ()) or None in schema.get("enum", ())
    kept = required or field == "name" or (field in IDENTITIES and field.endswith("_id") and field != "parent_id")
    assert nullable == (not kept)


@pytest.mark.parametrize("kind", sorted(set(IDENTITIES.values())))
def test_every_kind_of_identity_has_ids(kind: str) -> None:
    assert canonical_id("demo", "shop", kind, "", "1")


@pytest.mark.parametrize("amount", ["120.5012345", "-1.00", "01.00", "1e2", "", "1,299.00", "1.", ".5"])
def test_a_price_not_in_canonical_form_is_not_valid(amount: str) -> None:
    data = {**example_of("UpdatePrice"), "price": {"amount": amount, "currency": "INR"}}
    assert not schemas.canon().commands["UpdatePrice"].valid(data)


def test_a_price_that_is_a_number_is_not_valid() -> None:
    data = {**example_of("UpdatePrice"), "price": {"amount": 120.5, "currency": "INR"}}
    assert not schemas.canon().commands["UpdatePrice"].valid(data)


def test_a_price_update_cannot_clear_the_price() -> None:
    assert not schemas.canon().commands["UpdatePrice"].valid({**example_of("UpdatePrice"), "price": None})


def test_a_menu_item_without_store_is_not_valid() -> None:
    rest = {field: value for field, value in example_of("UpsertMenuItem").items() if field != "store_id"}
    assert not schemas.canon().commands["UpsertMenuItem"].valid(rest)


@pytest.mark.parametrize("moment", ["2026-01-18T11:33:13+05:30", "2026-01-18 11:33:13Z", "2026-01-18"])
def test_a_time_not_in_utc_is_not_valid(moment: str) -> None:
    data = {**example_of("UpdatePrice"), "source_time": moment}
    assert not schemas.canon().commands["UpdatePrice"].valid(data)


@pytest.mark.parametrize("hour", ["7:00", "25:00", "24:30", "07:60", "noon"])
def test_an_hour_that_no_clock_shows_is_not_valid(hour: str) -> None:
    hours = [{"days": ["mon"], "from": hour, "to": "23:00"}]
    assert not schemas.canon().commands["UpsertCategory"].valid({**example_of("UpsertCategory"), "hours": hours})


@pytest.mark.parametrize("hour", ["00:00", "07:30", "23:59:59", "24:00"])
def test_an_hour_that_a_clock_shows_is_valid(hour: str) -> None:
    hours = [{"days": ["mon"], "from": "00:00", "to": hour}]
    assert schemas.canon().commands["UpsertCategory"].valid({**example_of("UpsertCategory"), "hours": hours})
