"""Every expression of every provider file on both JSONata engines, on every golden case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.failures import Failure
from flows.golden import Case
from flows.trial import Trial, body_of
from tests.golden.cases import cases, interpreter_of, run

KNOWN_DIFFERENCES: dict[str, str] = {}
"""Cases whose canonical commands differ between the engines, with the reason why that is borne."""

WORDED_BY_THE_ENGINE = "expression_failed"
"""The one failure whose sentence and column are the engine's own: jlens points at the argument,
jsonata-python at the function, and calls it an "Object"."""


def _comparable(failure: Failure) -> Failure:
    if failure.code != WORDED_BY_THE_ENGINE:
        return failure
    return replace(failure, message="", place=failure.place.rpartition(":")[0])


def _canonical(trial: Trial) -> dict[str, Any]:
    worded = any(failure.code == WORDED_BY_THE_ENGINE for failure in trial.outcome.failures)
    return {
        "verdict": trial.verdict,
        "key": trial.reading.key if trial.reading else None,
        "scope": trial.reading.scope if trial.reading else None,
        "commands": trial.outcome.commands,
        "mappings": set(trial.outcome.mappings),
        "failures": [_comparable(failure) for failure in trial.outcome.failures],
        "reply": trial.reply.status if worded else (trial.reply.status, body_of(trial.reply)),
    }


CASES = [case for case in cases() if case.name not in KNOWN_DIFFERENCES]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_engines_give_the_same_canonical_commands(case: Case) -> None:
    jlens, reference = ([_canonical(trial) for trial in run(case, engine)] for engine in ("jlens", "jsonata-python"))
    assert jlens == reference


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_engines_choose_the_same_connection(case: Case) -> None:
    jlens, reference = (
        interpreter_of(case.provider, engine).connection_key(case.feed, case.request)
        for engine in ("jlens", "jsonata-python")
    )
    assert jlens == reference


def test_known_differences_name_cases_that_there_are() -> None:
    assert set(KNOWN_DIFFERENCES) <= {case.name for case in cases()}
