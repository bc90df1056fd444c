"""What is found wrong with a case beyond its snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

import flows.thorough
from engine.interpreter import Interpreter
from engine.messages import Reply
from flows.golden import Case, context_of, make_request
from flows.thorough import differences, judge, outcome_of
from flows.trial import Trial, try_request
from schemas import canon
from tests.flows.variant_feeds import interpreter_of

BODY = b'{"items": [{"id": "A", "qty": "4"}, {"id": "B", "qty": "5"}]}'


def case_of(interpreter: Interpreter, body: bytes = BODY) -> Case:
    request = make_request(interpreter, "stock", body, received_at=datetime(2026, 1, 5, tzinfo=UTC))
    context = context_of("corner", {"connection": {"tenant": "acme", "merchant": "M1"}})
    return Case("corner-stock-usual", "corner", "stock", request, context, 0, True, "")


def said(interpreter: Interpreter) -> list[str]:
    return [str(fault) for fault in judge(interpreter, case_of(interpreter), canon()).faults]


def broken(monkeypatch: pytest.MonkeyPatch, change: Any) -> list[str]:
    """What is said of a case when every trial is changed in some way."""
    monkeypatch.setattr(flows.thorough, "try_request", lambda *a, **k: change(try_request(*a, **k)))
    return said(interpreter_of())


def test_a_sound_case_has_variants_and_no_fault():
    interpreter = interpreter_of()
    judged = judge(interpreter, case_of(interpreter), canon())
    assert judged.faults == ()
    assert judged.variants == 11


def test_a_crash_is_a_fault_that_names_the_variant(monkeypatch):
    def raises_without_items(trial: Trial) -> Trial:
        if trial.reading and not isinstance(trial.reading.document.get("items"), list):
            raise ZeroDivisionError("by nothing")
        return trial

    told = broken(monkeypatch, raises_without_items)
    assert "corner-stock-usual · items: missing: ZeroDivisionError: by nothing" in told


def test_an_answer_that_is_a_server_error_is_a_fault(monkeypatch):
    told = broken(monkeypatch, lambda trial: replace(trial, reply=Reply(500, (), b"")))
    assert "corner-stock-usual · items: missing: the answer is 500" in told


def test_a_command_that_does_not_pass_its_schema_is_a_fault(monkeypatch):
    def without_quantity(trial: Trial) -> Trial:
        commands = tuple(one._replace(data={"variant_id": "A"}) for one in trial.outcome.commands)
        return replace(trial, outcome=trial.outcome._replace(commands=commands))

    assert any("UpdateStockLevel does not pass its schema" in one for one in broken(monkeypatch, without_quantity))


def test_silence_is_a_fault(monkeypatch):
    told = broken(monkeypatch, lambda trial: replace(trial, outcome=trial.outcome._replace(commands=(), failures=())))
    assert any("neither a command nor a failure" in one for one in told)


def test_ids_that_differ_from_sending_to_sending_are_a_fault(monkeypatch):
    count = iter(range(10**6))

    def fresh_ids(trial: Trial) -> Trial:
        commands = tuple(one._replace(id=f"{next(count)}") for one in trial.outcome.commands)
        return replace(trial, outcome=trial.outcome._replace(commands=commands))

    assert "corner-stock-usual · sent twice: the ids of the commands differ" in broken(monkeypatch, fresh_ids)


def test_a_key_that_hangs_on_the_clock_is_a_fault():
    told = said(interpreter_of(idempotency={"event_id": ["$arrived"]}))
    assert "corner-stock-usual · sent twice: the idempotency keys differ" in told


def test_a_mapping_that_hangs_on_the_order_of_a_batch_is_a_fault():
    told = said(interpreter_of(each='items#$n.{"id": id, "qty": $string($n)}'))
    assert any(one.startswith("corner-stock-usual · shuffled: UpdateStockLevel") for one in told)


def test_another_clock_shows_what_hangs_on_it():
    interpreter = interpreter_of(each='items.{"id": id, "qty": $substring($request.received_at, 8, 2)}')
    case = case_of(interpreter)
    told = differences(outcome_of(interpreter, case), outcome_of(interpreter, case, later=True))
    assert any('"quantity": {"amount": "5", "unit": "each"}' in one for one in told)
    assert any('"quantity": {"amount": "7", "unit": "each"}' in one for one in told)


def test_what_does_not_hang_on_the_clock_has_no_difference():
    interpreter = interpreter_of()
    case = case_of(interpreter)
    assert differences(outcome_of(interpreter, case), outcome_of(interpreter, case, later=True)) == []
