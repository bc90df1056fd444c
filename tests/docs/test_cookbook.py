"""Runs every recipe of docs/how-to/cookbook.md: the YAML on the payload must give the commands beside it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from engine.checker import check
from engine.interpreter import Interpreter
from engine.jsonata import EngineName
from engine.messages import Command, Connection, Request
from flows.providers import load_text
from schemas import canon

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "cookbook.md"
FILE_KEYS = ("defaults", "lookups")
MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "form": "application/x-www-form-urlencoded",
    "xml": "application/xml",
    "x12": "application/edi-x12",
}
_RECIPE = re.compile(r"^### (.+?)\n(.*?)(?=^##|\Z)", re.M | re.S)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
RECEIVED = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Recipe(NamedTuple):
    title: str
    snippet: str
    media: str
    payload: str
    result: str


def recipes() -> list[Recipe]:
    found = []
    for title, text in _RECIPE.findall(PAGE.read_text("utf-8")):
        blocks = _BLOCK.findall(text)
        assert [language for language, _ in blocks[::2]] == ["yaml", "json"], title
        (_, snippet), (media, payload), (_, result) = blocks
        found.append(Recipe(title, snippet, media, payload, result))
    return found


RECIPES = recipes()
each_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.title for recipe in RECIPES])


def file_text(recipe: Recipe) -> str:
    """A whole provider file round a recipe."""
    written = yaml.safe_load(recipe.snippet)
    lines = recipe.snippet.splitlines()
    starts = [n for n, line in enumerate(lines) if line and line[0] not in " #"]
    parts = {key: lines[start:end] for key, start, end in zip(written, starts, [*starts[1:], len(lines)], strict=True)}
    head = [line for key, part in parts.items() if key in FILE_KEYS for line in part]
    feed = [f"    {line}" for key, part in parts.items() if key not in FILE_KEYS for line in part]
    if "defaults" not in parts:
        head.append("defaults: {currency: INR, unit: each, time_zone: Asia/Kolkata}")
    if "scope" not in parts:
        feed.append("    scope: {store: '\"S1\"'}")
    return "\n".join(
        [
            "spec: tiffin/v1\nprovider: corner\ntitle: Corner\nfamily: seller\nrevision: 1\nevidence: official",
            "auth: {scheme: token, header: X-Key, secret: key}",
            *head,
            "feeds:\n  inbox:\n    idempotency: {event_id: [$request.headers.`x-message-id`]}",
            *feed,
        ]
    )


def run(recipe: Recipe, engine: EngineName) -> list[dict[str, Any]]:
    interpreter = load_text(file_text(recipe), canon(), engine).interpreter
    body = recipe.payload
    headers = ((b"content-type", MEDIA_TYPES[recipe.media].encode()), (b"x-message-id", b"1"))
    body = body.rstrip("\n") if recipe.media == "form" else body
    request = Request("POST", "https://t.example/in", "/in", (), headers, body.encode(), "192.0.2.1", RECEIVED)
    return [_shown(command) for command in _commands(interpreter, request)]


def _commands(interpreter: Interpreter, request: Request) -> tuple[Command, ...]:
    connection = Connection("c1", "acme", "corner", merchant="M1")
    drafted = interpreter.draft(interpreter.read("inbox", request, connection))
    outcome = interpreter.finish(drafted, {ref: ref.external_id for ref in drafted.refs}, "0" * 32)
    assert outcome.failures == ()
    assert outcome.verdict == "accepted"
    return outcome.commands


def _shown(command: Command) -> dict[str, Any]:
    left_out = (("merchant_id", "M1"), ("store_id", "S1"))
    return {command.name: {key: value for key, value in command.data.items() if (key, value) not in left_out}}


@each_recipe
@pytest.mark.parametrize("engine", ["jlens", "jsonata-python"])
def test_a_recipe_gives_the_commands_beside_it(recipe: Recipe, engine: EngineName) -> None:
    assert run(recipe, engine) == json.loads(recipe.result)


@each_recipe
def test_the_checker_has_nothing_to_say_of_a_recipe(recipe: Recipe) -> None:
    assert check(file_text(recipe), "corner.yaml", canon()) == []


def test_the_page_has_its_recipes() -> None:
    assert len(RECIPES) >= 40
