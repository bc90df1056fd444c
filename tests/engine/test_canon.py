"""What the interpreter reads from command schemas, and the two validators' agreement."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from engine.canon import Canon, CommandSchema

MONEY = {
    "type": ["object", "null"],
    "required": ["amount", "currency"],
    "additionalProperties": False,
    "properties": {
        "amount": {"type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,4})?$"},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    },
    "description": "What it costs.",
    "x-reader": "money",
}
SELL = {
    "type": "object",
    "required": ["merchant_id"],
    "additionalProperties": False,
    "x-subject": ["variant_id", "item_id"],
    "anyOf": [{"required": ["item_id"]}, {"required": ["variant_id"]}],
    "properties": {
        "merchant_id": {"type": "string", "minLength": 1, "x-identity": "merchant", "x-reader": "id"},
        "item_id": {"type": "string", "minLength": 1, "x-identity": "item", "x-reader": "id"},
        "variant_id": {"type": "string", "minLength": 1, "x-identity": "variant", "x-reader": "id"},
        "price": MONEY,
        "food_type": {"enum": ["veg", "egg", None], "x-reader": "text"},
        "category_ids": {
            "type": ["array", "null"],
            "items": {"type": "string", "x-identity": "category", "x-reader": "id"},
        },
        "addons": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["addon_id"],
                "additionalProperties": False,
                "properties": {
                    "addon_id": {"type": "string", "x-identity": "addon", "x-reader": "id"},
                    "price": MONEY,
                    "nested_groups": {
                        "type": ["array", "null"],
                        "items": {"type": "string", "x-identity": "addon_group", "x-reader": "id"},
                    },
                },
            },
        },
    },
}
GOOD: dict[str, Any] = {
    "merchant_id": "mer_1",
    "item_id": "itm_1",
    "price": {"amount": "120.50", "currency": "INR"},
    "addons": [{"addon_id": "add_1"}, {"addon_id": "add_2"}],
}


@pytest.fixture(scope="module")
def sell() -> CommandSchema:
    return Canon({"Sell": SELL}).commands["Sell"]


def test_a_command_knows_its_name_subject_and_requirements(sell: CommandSchema) -> None:
    assert (sell.name, sell.subject, sell.required) == ("Sell", ("variant_id", "item_id"), {"merchant_id"})
    assert sell.one_of == ("item_id", "variant_id")


def test_a_field_has_its_reader_and_identity(sell: CommandSchema) -> None:
    field = sell.fields["item_id"]
    assert (field.reader, field.identity, field.is_list, field.items) == ("id", "item", False, None)


def test_only_required_fields_are_required(sell: CommandSchema) -> None:
    assert [name for name, field in sell.fields.items() if field.required] == ["merchant_id"]


def test_a_field_that_allows_null_is_nullable(sell: CommandSchema) -> None:
    nullable = [name for name, field in sell.fields.items() if field.nullable]
    assert nullable == ["price", "food_type", "category_ids"]


def test_an_enum_is_listed_without_null(sell: CommandSchema) -> None:
    assert sell.fields["food_type"].enum == ("veg", "egg")


def test_a_field_carries_its_description(sell: CommandSchema) -> None:
    assert sell.fields["price"].description == "What it costs."


def test_a_list_of_ids_names_its_items_identity(sell: CommandSchema) -> None:
    field = sell.fields["category_ids"]
    assert field.is_list
    assert getattr(field.items, "identity", None) == "category"


def test_a_list_of_objects_has_the_fields_of_its_items(sell: CommandSchema) -> None:
    inner = sell.fields["addons"].items
    assert isinstance(inner, dict)
    assert {name: (f.reader, f.identity, f.required) for name, f in inner.items()} == {
        "addon_id": ("id", "addon", True),
        "price": ("money", None, False),
        "nested_groups": (None, None, False),
    }
    assert inner["nested_groups"].items.identity == "addon_group"


def test_an_object_that_is_read_as_one_value_is_no_list(sell: CommandSchema) -> None:
    assert (sell.fields["price"].is_list, sell.fields["price"].items) == (False, None)


def test_good_data_is_valid_and_has_nothing_to_explain(sell: CommandSchema) -> None:
    assert sell.valid(GOOD)
    assert sell.explain(GOOD) == []


def test_many_are_valid_only_if_each_is(sell: CommandSchema) -> None:
    assert sell.valid_many([GOOD, GOOD])
    assert not sell.valid_many([GOOD, {**GOOD, "price": 5}])


def test_no_commands_are_valid(sell: CommandSchema) -> None:
    assert sell.valid_many([])


@pytest.mark.parametrize(
    ("change", "path", "sentence"),
    [
        ({"merchant_id": None}, "merchant_id", "null is not allowed here"),
        ({"item_id": ""}, "item_id", "'' should be non-empty"),
        ({"food_type": "meat"}, "food_type", "'meat' is not one of 'veg', 'egg'"),
        (
            {"price": {"amount": "1,00", "currency": "INR"}},
            "price.amount",
            "'1,00' does not have the canonical form",
        ),
        (
            {"price": {"amount": "1\n", "currency": "INR"}},
            "price.amount",
            '"1\\n" does not match "^[0-9]+(\\.[0-9]{1,4})?$"',
        ),
        ({"addons": [{"addon_id": "a"}, {}]}, "addons[1]", "'addon_id' is a required property"),
        ({"addons": [{"addon_id": 5}]}, "addons[0].addon_id", "5 is not of type 'string'"),
        ({"colour": "red"}, "", "Additional properties are not allowed ('colour' was unexpected)"),
    ],
)
def test_a_fault_is_explained_at_its_path(
    sell: CommandSchema, change: dict[str, Any], path: str, sentence: str
) -> None:
    assert sell.explain({**GOOD, **change}) == [(path, sentence)]


def test_a_missing_choice_names_what_may_be_chosen(sell: CommandSchema) -> None:
    assert sell.explain({"merchant_id": "m"}) == [("", "one of item_id, variant_id is a required property")]


def test_all_faults_are_explained_at_once(sell: CommandSchema) -> None:
    faults = sell.explain({**GOOD, "food_type": "meat", "addons": [{}, {"addon_id": 1}]})
    assert [path for path, _ in faults] == ["addons[0]", "addons[1].addon_id", "food_type"]


def test_an_explanation_does_not_repeat_a_long_value(sell: CommandSchema) -> None:
    [(_, sentence)] = sell.explain({**GOOD, "food_type": "x" * 10_000})
    assert len(sentence) < 300


COMMANDS = schemas.canon().commands
PLACES = [
    (name, number, field)
    for name, command in COMMANDS.items()
    for number, _ in enumerate(command.schema["examples"])
    for field in command.fields
]
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet="a1.-\n", max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["amount", "currency", "unit", "addon_id", "name"]), inner)
    ),
    max_leaves=6,
)


@given(place=st.sampled_from(PLACES), value=VALUES)
def test_the_gate_says_no_exactly_when_there_is_something_to_explain(place: tuple[str, int, str], value: Any) -> None:
    name, number, field = place
    command = COMMANDS[name]
    data = {**command.schema["examples"][number], field: value}
    assert command.valid(data) == (command.explain(data) == [])
    assert command.valid_many([data]) == command.valid(data)
