"""The provider files that ship, judged by the checker with the golden cases' documents as samples, and as texts."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median

import pytest

from cli.provider_check import checked_files
from tests.golden.cases import PROVIDERS, cases, interpreter_of

FILES = sorted(PROVIDERS.glob("*.yaml"))
HOUSE = PROVIDERS.parent
PYTHON = ("engine", "stores", "bus", "flows", "server", "cli", "schemas", "bench")
LONGEST_LINE = 110
MEDIAN_LINES = 90
WORDS = {"square": r"square(?! brackets?\b)"}
"""Names that are words of English, too: what of them is a name."""

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def lines_of(file: Path) -> list[str]:
    """The lines that say something: neither blank nor a comment alone."""
    return [line for line in file.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]


def functions_without_a_reason(text: str) -> list[int]:
    """The numbers of lines that define a function inside an expression, where no comment says why: on the lines of
    the expression before it, or right above the expression."""
    lines, found = text.splitlines(), []
    for n, line in enumerate(lines):
        if not re.search(r"\bfunction\s*\(|λ\s*\(", line.partition(" #")[0]):
            continue
        above = [n]
        while above[-1] > 0 and _indent(lines[above[-1]]) >= _indent(line) and not _is_key(lines[above[-1]]):
            above.append(above[-1] - 1)
        above.append(above[-1] - 1)
        if not any("#" in re.sub(r"\".*?\"|'.*?'", "", lines[at]) or "/*" in lines[at] for at in above if at >= 0):
            found.append(n + 1)
    return found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_key(line: str) -> bool:
    return re.match(r"\s*[\w-]+:\s*(?:&\w+\s*)?[|>]", line) is not None


@each_file
def test_a_shipped_provider_file_has_no_problem(file: Path) -> None:
    assert [problem for problem in checked_files((file,)).problems if problem.code != "assumed"] == []


@each_file
def test_a_file_whose_evidence_is_assumed_says_so_in_its_title(file: Path) -> None:
    provider = interpreter_of(file.stem).provider
    assert (provider.evidence == "assumed") == ("to be confirmed" in provider.title)


@each_file
def test_enough_cases_stand_for_each_shipped_provider(file: Path) -> None:
    counted = sum(case.provider == file.stem for case in cases())
    assert counted >= (3 if interpreter_of(file.stem).provider.evidence == "assumed" else 8)


@each_file
def test_no_line_of_a_provider_file_is_longer_than_a_page_is_wide(file: Path) -> None:
    long = {n: line for n, line in enumerate(file.read_text().splitlines(), start=1) if len(line) > LONGEST_LINE}
    assert long == {}


@each_file
def test_a_function_inside_an_expression_comes_with_a_reason(file: Path) -> None:
    assert functions_without_a_reason(file.read_text()) == []


def test_half_of_the_provider_files_fit_on_a_page_or_two() -> None:
    assert median(len(lines_of(file)) for file in FILES) <= MEDIAN_LINES


def test_no_provider_is_named_in_the_python_of_the_house() -> None:
    names = "|".join(WORDS.get(file.stem, re.escape(file.stem)) for file in FILES)
    named = re.compile(rf"(?<![\w-])(?:{names})(?![\w-])", re.IGNORECASE)
    sources = [file for folder in PYTHON for file in sorted((HOUSE / folder).rglob("*.py"))]
    assert sources
    assert [
        f"{file.relative_to(HOUSE)}: {found[0]}" for file in sources if (found := named.search(file.read_text()))
    ] == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: >-\n  $map($, function($x) { $x })\n", [2]),
        ("# each column\na: >-\n  $map($, function($x) { $x })\n", []),
        ("a: >-\n  $map($,\n    /* each column */ function($x) { $x })\n", []),
        ("a: '$map($, function($x) { $x })'    # each column\n", []),
        ("b: 1\na: '$map($, function($x) { $x })'\n", [2]),
        ("a: functional\n", []),
    ],
)
def test_a_function_without_a_reason_is_found(text: str, lines: list[int]) -> None:
    assert functions_without_a_reason(text) == lines
