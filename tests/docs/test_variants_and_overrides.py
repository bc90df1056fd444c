"""docs/how-to/variants-and-overrides.md: every YAML block does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import schemas
from engine import checker
from engine.extending import Source, overridden, resolve
from engine.problems import Problem

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "variants-and-overrides.md"
BLOCKS = re.findall(r"^```yaml\n# (.+)\n((?:.*\n)*?)```$", PAGE.read_text(), re.MULTILINE)
FILES = {name.removesuffix(".yaml"): text for name, text in BLOCKS if name.endswith(".yaml")}
OVERRIDES = [(name.removeprefix("overrides of "), text) for name, text in BLOCKS if name.startswith("overrides of ")]


def source(name: str) -> Source | None:
    return Source(body(FILES[name]), f"{name}.yaml") if name in FILES else None


def body(text: str) -> str:
    return re.sub(r"\A# gives: .*\n", "", text)


def promised(text: str) -> list[tuple[str, str]]:
    found = re.match(r"# gives: (\w+) at ([\d:]+)\n", text)
    return [(found[1], found[2])] if found else []


def told(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(p.code, f"{p.place.line}:{p.place.column}") for p in problems]


def test_every_block_is_looked_at():
    assert len(FILES) + len(OVERRIDES) == len(BLOCKS) == PAGE.read_text().count("```yaml") == 5


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_page_gives_what_the_page_says(name):
    found = checker.check(body(FILES[name]), f"{name}.yaml", schemas.canon(), sources=source)
    assert told(found) == promised(FILES[name])


@pytest.mark.parametrize(("name", "text"), OVERRIDES)
def test_overrides_of_the_page_give_what_the_page_says(name, text):
    document = overridden(resolve(FILES[name], f"{name}.yaml"), body(text), "overrides.yaml")
    assert told(checker.check_document(document, schemas.canon())) == promised(text)


def test_the_variant_is_what_the_page_says_of_it():
    provider = checker.load(FILES["corner-till-lite"], "corner-till-lite.yaml", schemas.canon(), source)
    (rule,) = provider.feeds["stock"].commands.values()
    quantity = rule.fields["quantity"]
    assert list(provider.feeds) == ["stock"]
    assert list(rule.fields) == ["item_id", "quantity"]
    assert (quantity.from_.text, quantity.unit.text) == ("qty", "measure")
    assert provider.title == "Corner Till Lite"
