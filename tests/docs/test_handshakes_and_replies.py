"""The how-to's YAML is checked and its requests are answered as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

import schemas
from engine import checker
from engine.interpreter import Interpreter
from flows.trial import body_of
from tests.engine.invented import HEAD, tried

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "handshakes-and-replies.md"
FEEDS = """\
feeds:
  stock:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    commands:
      stock: {command: UpdateStockLevel, each: items, fields: {item_id: sku, quantity: qty}}
"""
_BLOCK = re.compile(r"^```(yaml|request)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(
    r"(?P<method>[A-Z]+) (?P<name>[\w-]+)(?:/(?P<params>[^? ]+))?(?:\?(?P<query>\S+))?(?: (?P<type>\S+))?"
)


def told() -> list[tuple[str, str]]:
    """Each piece of YAML with a request that stands below it; "" where none does."""
    found: list[tuple[str, str]] = []
    for kind, text in _BLOCK.findall(PAGE.read_text()):
        if kind == "yaml":
            found.append((text, ""))
        elif found[-1][1]:
            found.append((found[-1][0], text))
        else:
            found[-1] = (found[-1][0], text)
    return found


def file_of(piece: str) -> str:
    return HEAD + (piece if piece.startswith("feeds:") else piece + FEEDS)


PIECES = told()


def test_the_page_has_pieces_and_requests() -> None:
    assert len(PIECES) > 12
    assert sum(bool(request) for _, request in PIECES) > 10


@pytest.mark.parametrize("piece", [piece for piece, _ in PIECES], ids=lambda piece: piece.split()[1])
def test_a_piece_of_the_page_has_no_problem(piece: str) -> None:
    assert checker.check(file_of(piece), "corner.yaml", schemas.canon()) == []


@pytest.mark.parametrize(("piece", "request_"), [one for one in PIECES if one[1]], ids=lambda text: text.split("\n")[0])
def test_a_request_of_the_page_is_answered_as_it_says(piece: str, request_: str) -> None:
    asked, _, answered = request_.rstrip("\n").partition("\n\n")
    line, _, body = asked.partition("\n")
    found = _LINE.fullmatch(line)
    assert found, line
    one = Interpreter(checker.load(file_of(piece), "corner.yaml", schemas.canon()), "", schemas.canon())
    trial = tried(
        one,
        found["name"],
        body.encode(),
        method=found["method"],
        headers=(("Content-Type", found["type"]),) if found["type"] else (),
        query=tuple(parse_qsl(found["query"] or "")),
        params=tuple(parse_qsl(found["params"] or "")),
    )
    status, _, expected = answered.partition(" ")
    assert trial.reply.status == int(status)
    if expected:
        assert body_of(trial.reply) == (json.loads(expected) if expected[0] == "{" else expected)
