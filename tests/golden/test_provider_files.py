"""The provider files that ship, judged by the checker with the golden cases' documents as samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.provider_check import checked_files
from tests.golden.cases import PROVIDERS, cases

FILES = sorted(PROVIDERS.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_provider_file_has_no_problem(file: Path) -> None:
    assert [problem for problem in checked_files((file,)).problems if problem.code != "assumed"] == []


def test_eight_cases_at_least_stand_for_each_shipped_provider() -> None:
    counted = {file.stem: sum(case.provider == file.stem for case in cases()) for file in FILES}
    assert counted
    assert min(counted.values()) >= 8
