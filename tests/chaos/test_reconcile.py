"""What the reconciliation finds, shown on topics made by hand."""

from __future__ import annotations

from typing import Any

from tests.chaos.load import ITEMS, Message
from tests.chaos.reconcile import Found, reconcile


def commands(message: Message, *, items: int = ITEMS) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{message.quantity}-{n}",
            "type": "UpdateStockLevel",
            "subject": f"item-{message.caller}-{n}",
            "data": {"item_id": f"item-{message.caller}-{n}", "quantity": {"amount": str(message.quantity)}},
        }
        for n in range(items)
    ]


FIRST, SECOND, EARLY = Message(2, 1), Message(2, 2), Message(3, 1)


def test_all_that_was_answered_stands_in_order() -> None:
    assert reconcile([FIRST, SECOND], commands(FIRST) + commands(SECOND)) == Found(0, 0, 0)


def test_a_message_without_one_of_its_commands_is_lost() -> None:
    assert reconcile([FIRST, SECOND], commands(FIRST, items=2) + commands(SECOND)) == Found(1, 0, 0)


def test_commands_that_nobody_was_answered_for_are_no_fault() -> None:
    assert reconcile([], commands(FIRST)) == Found(0, 0, 0)


def test_an_id_with_two_contents_is_a_conflict_and_with_one_content_twice_is_none() -> None:
    twice = [*commands(FIRST), *commands(FIRST)]
    assert reconcile([FIRST], twice) == Found(0, 0, 0)
    twice[-1] = {**twice[-1], "data": {**twice[-1]["data"], "quantity": {"amount": "7"}}}
    assert reconcile([FIRST], twice) == Found(0, 1, 0)


def test_each_item_whose_later_command_came_first_is_out_of_order() -> None:
    assert reconcile([FIRST, SECOND], commands(SECOND) + commands(FIRST)) == Found(0, 0, ITEMS)


def test_a_repeat_of_an_older_command_is_not_out_of_order() -> None:
    assert reconcile([FIRST, SECOND], commands(FIRST) + commands(SECOND) + commands(FIRST)) == Found(0, 0, 0)


def test_messages_that_were_answered_before_their_work_may_be_overtaken() -> None:
    late = Message(EARLY.caller, 2)
    assert reconcile([EARLY, late], commands(late) + commands(EARLY)) == Found(0, 0, 0)
