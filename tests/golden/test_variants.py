"""Machine-made variants of every golden case of every provider: the same ones each time, about a millisecond each.

`tiffin provider test --thorough` asks the same, and more, of the cases of a checkout.
"""

from __future__ import annotations

import pytest

from flows.golden import Case
from flows.thorough import judge
from schemas import canon
from tests.golden.cases import cases, interpreter_of

SHARE = 200
"""Variants of one case, at most."""

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_variants_give_sound_commands_or_a_classified_failure(case: Case) -> None:
    judged = judge(interpreter_of(case.provider), case, canon(), SHARE)
    assert [str(fault) for fault in judged.faults] == []


def test_every_provider_has_variants() -> None:
    tried = {case.provider: 0 for case in CASES}
    for case in CASES:
        if tried[case.provider] < 5:
            tried[case.provider] += judge(interpreter_of(case.provider), case, canon(), 5).variants
    assert tried
    assert min(tried.values()) >= 5
