"""Samples made of the golden cases of every shipped provider file, each as if one of its fields were new."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import schemas
from engine.decoding import decode
from engine.decoding.media_types import format_of, headers_of
from engine.failures import Refusal
from engine.messages import Request
from engine.model import Provider
from flows.golden import Case, cases
from flows.observing.comparing import drifts
from flows.observing.masking import hidden_paths
from flows.observing.sampling import sample
from flows.observing.shapes import Shape, shape_of
from flows.providers import load_provider

ROOT = Path(__file__).parents[3]
NAMES = sorted(path.stem for path in (ROOT / "providers").glob("*.yaml"))


def without_one(shape: Shape, chance: random.Random) -> bool:
    """Takes one field of a shape away, somewhere; False where it has none."""
    below = [*shape.fields.values(), *filter(None, (shape.element, shape.star))]
    chance.shuffle(below)
    if shape.fields and (not below or chance.random() < 0.4):
        del shape.fields[chance.choice(sorted(shape.fields))]
        return True
    return any(without_one(one, chance) for one in below) or bool(shape.fields and shape.fields.popitem())


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_shows_the_field_that_it_was_made_for(name: str) -> None:
    interpreter = load_provider(ROOT / "providers" / f"{name}.yaml", schemas.canon()).interpreter
    made = 0
    for case in cases(ROOT / "tests" / "golden", {name: interpreter}):
        made += all_shown(case, interpreter.provider)
    assert made or name in ("wms-x12",)


def all_shown(case: Case, provider: Provider) -> int:
    """How many samples of a case were made; each shows its drift."""
    feed = provider.feeds.get(case.feed)
    if feed is None or case.request.body[:2] == b"\x1f\x8b":
        return 0
    try:
        document = decode(feed, case.request)
    except Refusal:
        return 0
    format_ = format_of(tuple(feed.formats), headers_of(case.request.headers), case.request.body)
    made = 0
    for seed in range(5):
        shape, chance = shape_of([document]), random.Random(seed)
        if not without_one(shape, chance):
            continue
        hidden = hidden_paths(provider)
        for drift in list(drifts(shape, document, {}, hidden))[:1]:
            body = sample(
                format_, case.request.body, document, drift, shape, hidden, feed.unwrap, chance, feed.formats[format_]
            )
            if not body:
                continue
            made += 1
            again = decode(feed, Request(**{**vars(case.request), "body": body}))
            found = {(one.kind, one.path) for one in drifts(shape, again, {}, hidden)}
            assert (drift.kind, drift.path) in found, (case.name, drift, body)
    return made
