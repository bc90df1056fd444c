"""The provider files that ship, judged by the checker with the golden cases' documents as samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import checker
from flows.providers import load_provider
from flows.samples import samples_of
from schemas import canon
from tests.golden.cases import PROVIDERS, cases

GOLDEN = Path(__file__).parent
FILES = sorted(PROVIDERS.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_provider_file_has_no_problem(file: Path) -> None:
    sound, faulty = samples_of(GOLDEN, load_provider(file, canon()).interpreter.provider)
    assert checker.check(file.read_text(), str(file), canon(), sound, faulty=faulty) == []


def test_eight_cases_at_least_stand_for_each_shipped_provider() -> None:
    counted = {file.stem: sum(case.provider == file.stem for case in cases()) for file in FILES}
    assert counted
    assert min(counted.values()) >= 8
