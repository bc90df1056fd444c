"""The provider files that ship, judged by the checker with the golden cases' documents as samples."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from engine import checker
from engine.decoding import decode
from engine.failures import Refusal
from schemas import canon
from tests.golden.cases import PROVIDERS, cases, interpreter_of

FILES = sorted(PROVIDERS.glob("*.yaml"))


def _samples(provider: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for case in cases():
        if case.provider == provider:
            try:
                document = decode(interpreter_of(provider).feeds[case.feed].feed, case.request)
            except Refusal:
                continue
            found[case.feed].append(document)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_provider_file_has_no_problem(file: Any) -> None:
    assert checker.check(file.read_text(), str(file), canon(), _samples(file.stem)) == []


def test_eight_cases_at_least_stand_for_each_shipped_provider() -> None:
    counted = {file.stem: sum(case.provider == file.stem for case in cases()) for file in FILES}
    assert counted
    assert min(counted.values()) >= 8
