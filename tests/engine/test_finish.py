"""Rules whose elements differ in one id alone are finished at once, and no otherwise than all others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.drafting import Draft
from engine.finish import Finisher
from flows.golden import Case
from tests.golden.cases import cases, run

MADE = Finisher.__init__


def without_plain_plans(self: Finisher, draft: Draft, *rest: Any) -> None:
    MADE(self, draft._replace(plans=tuple(replace(plan, plain=False) for plan in draft.plans)), *rest)


def some_are_plain(case: Case) -> bool:
    found: list[bool] = []

    def noticing(self: Finisher, draft: Draft, *rest: Any) -> None:
        found.extend(plan.plain for plan in draft.plans)
        MADE(self, draft, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Finisher, "__init__", noticing)
        run(case, "jlens")
    return any(found)


def test_a_plain_plan_gives_the_outcome_of_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = [case for case in cases() if some_are_plain(case)]
    at_once = [[trial.outcome for trial in run(case, "jlens")] for case in plain]
    monkeypatch.setattr(Finisher, "__init__", without_plain_plans)
    one_by_one = [[trial.outcome for trial in run(case, "jlens")] for case in plain]
    assert len(plain) > 20
    assert at_once == one_by_one
