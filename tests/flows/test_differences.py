"""Results compared by meaning."""

from __future__ import annotations

from typing import Any

from flows.differences import differences, sentences


def command(entity: str, key: str, name: str = "UpdatePrice", **data: Any) -> dict[str, Any]:
    told = {"item_id": entity, **data}
    return {"name": name, "rule": "r", "entity": entity, "kafka_key": "t/s", "data": told, "version": None,
            "commandkey": key, "id": f"id-{key}-{data}"}  # fmt: skip


def result(*commands: dict[str, Any], **changed: Any) -> dict[str, Any]:
    plain = {"verdict": "accepted", "idempotency_key": "event_id:1", "commands": list(commands), "new_mappings": [],
             "failures": [], "reply": {"status": 200}}  # fmt: skip
    return {**plain, **changed}


def failure(cls: str, code: str) -> dict[str, Any]:
    return {"class": cls, "code": code, "path": "items[0].price", "rule": "r"}


def test_equal_results_have_no_differences() -> None:
    assert differences(result(command("a", "1", price="1")), result(command("a", "1", price="1"))) == []


def test_changed_fields_are_counted_by_what_they_mean() -> None:
    before = result(*(command(str(n), str(n), price="1") for n in range(9)))
    after = result(*(command(str(n), str(n), price="2") for n in range(9)))
    assert sentences(differences(before, after)) == ["9 prices changed (UpdatePrice.price)"]


def test_one_of_many_is_said_in_the_singular() -> None:
    before = result(command("a", "1", name="UpsertMenuItem"))
    assert sentences(differences(before, result())) == ["1 item no longer emitted"]


def test_a_lost_and_a_new_command_are_not_taken_for_one() -> None:
    before, after = result(command("a", "1", price="1")), result(command("b", "2", price="2"))
    assert [(d.kind, d.entity) for d in differences(before, after)] == [("command_lost", "a"), ("command_new", "b")]


def test_another_canonical_id_of_the_same_command_is_alarming() -> None:
    before, after = result(command("a", "1", price="1")), result(command("b", "2", price="1"))
    found = differences(before, after)
    assert [(d.kind, d.what) for d in found] == [
        ("canonical_id", "UpdatePrice.item_id"),
        ("command_key", "UpdatePrice"),
    ]
    assert all(d.alarming for d in found)


def test_another_idempotency_key_is_alarming_and_said_first() -> None:
    before = result(command("a", "1", price="1"))
    after = result(command("a", "1", price="2"), idempotency_key="event_id:2")
    found = differences(before, after)
    assert [d.alarming for d in found] == [True, False]
    assert sentences(found)[0] == "1 idempotency key changed"


def test_a_failure_of_another_class_at_the_same_path_is_alarming() -> None:
    before = result(failures=[failure("mapping", "unmapped")])
    after = result(failures=[failure("validation", "not_money")])
    (found,) = differences(before, after)
    assert (found.kind, found.what, found.alarming) == ("failure_class", "mapping → validation", True)


def test_a_field_that_is_no_longer_told_shows_its_old_value() -> None:
    (found,) = differences(result(command("a", "1", price="1")), result(command("a", "1")))
    assert (found.kind, found.before, found.after) == ("field", "1", None)
