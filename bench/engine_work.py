"""The engine's whole work on one message against the same work written by hand."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

import schemas
from bench import by_hand, load, payloads
from engine.checker import load as load_file
from engine.interpreter import Interpreter
from engine.messages import Connection, Outcome, Request
from flows.lean import settle

HERE = Path(__file__).parent
DELIVERY = "d" * 32


def interpreter(name: str) -> Interpreter:
    path = HERE / f"{name}.yaml"
    return Interpreter(load_file(path.read_text(), str(path), schemas.canon()), "0" * 64, schemas.canon())


def compare(
    name: str, feed: str, body: bytes, hand: Callable[..., list[bytes]], rounds: int, repeats: int
) -> dict[str, float]:
    """Milliseconds of the interpreter and of the hand-written code, interleaved; medians and their ratio."""
    made = interpreter(name)
    request = Request(
        "POST", "http://bench/x", "/x", (), ((b"content-type", b"application/json"),), body, "", datetime.now(UTC)
    )
    connection = Connection("bench", "bench", name)
    drafted = made.draft(made.read(feed, request, connection))
    ids = {tuple(ref): f"c_{ref.external_id}" for ref in drafted.refs}
    context = {
        "tenant": "bench", "delivery": DELIVERY, "source": f"/tenants/bench/providers/{name}/feeds/{feed}",
        "time": request.received_at.isoformat(),
    }  # fmt: skip

    def whole() -> Outcome:
        reading = made.read(feed, request, connection)
        return made.finish(made.draft(reading), ids, DELIVERY)  # type: ignore[arg-type]

    _same(whole(), hand(body, ids, context))
    settle()  # as a serving process does
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(_timed(whole, repeats))
        theirs.append(_timed(lambda: hand(body, ids, context), repeats))
    a, b = statistics.median(mine), statistics.median(theirs)
    return {"ms": round(a * 1000, 4), "handwritten_ms": round(b * 1000, 4), "of_handwritten": round(a / b, 3)}


def _timed(work: Callable[[], Any], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - started) / repeats


def _same(outcome: Outcome, events: list[bytes]) -> None:
    """The two must do the same work: their commands are compared before anything is timed."""
    mine = sorted(orjson.dumps([c.name, c.data], option=orjson.OPT_SORT_KEYS) for c in outcome.commands)
    theirs = sorted(
        orjson.dumps([e["type"].split(".")[1], e["data"]], option=orjson.OPT_SORT_KEYS)
        for e in map(orjson.loads, events)
    )
    if mine != theirs or outcome.failures:
        raise SystemExit(f"the hand-written code does other work: {outcome.failures[:1]} {len(mine)} {len(theirs)}")


def run() -> dict[str, dict[str, float]]:
    menu = orjson.dumps(payloads.menu())
    return {
        "engine_menu": compare("menu", "menu", menu, by_hand.menu, rounds=9, repeats=5),
        "engine_stock": compare("stock", "levels", load.body(1), by_hand.stock, rounds=9, repeats=1000),
    }
