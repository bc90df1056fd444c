"""Golden bodies put out of joint: whatever comes, there is a verdict, the same on both engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.failures import Failure
from flows.golden import Case
from tests.golden.cases import cases, run

Path = tuple[str | int, ...]
_GONE = "<gone>"
_ODD = [None, "", " ", "0", "-1", "abc", "1e400", "2026-02-30 10:00", "NaN", "\0", "9" * 40, True, False,
        0, -1, 1.5, 2**70, [], {}, [None], [[]], [{}], ["a"], {"0": "x"}, {"a": None}, _GONE]  # fmt: skip


def _document(case: Case) -> Any:
    try:
        return json.loads(case.request.body)
    except ValueError:
        return None


_DOCUMENTS = [
    (case, document)
    for case in cases()
    if case.signs and (document := _document(case)) and run(case)[0].verdict not in ("unauthorized", "handshake")
]


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from _paths(one, (*path, key))


def _put(document: Any, path: Path, odd: Any) -> Any:
    changed = json.loads(json.dumps(document))
    at = changed
    for key in path[:-1]:
        at = at[key]
    if odd == _GONE:
        del at[path[-1]]
    else:
        at[path[-1]] = odd
    return changed


@st.composite
def odd_cases(draw: st.DrawFn) -> Case:
    case, document = draw(st.sampled_from(_DOCUMENTS))
    for _ in range(draw(st.integers(1, 3))):
        if paths := list(_paths(document)):
            document = _put(document, draw(st.sampled_from(paths)), draw(st.sampled_from(_ODD)))
    return replace(case, request=replace(case.request, body=json.dumps(document).encode()), again=0)


def _said(failure: Failure) -> tuple[Any, ...]:
    return failure.cls, failure.code, failure.path, failure.rule, failure.element


@given(odd_cases())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_an_odd_payload_gets_a_verdict_and_never_fails_tiffin(case: Case) -> None:
    (told,) = run(case)
    assert told.verdict in ("accepted", "partial", "parked", "rejected", "ignored")
    explained = told.outcome.presences or told.verdict == "ignored"
    assert told.outcome.commands or told.outcome.failures or explained


@given(odd_cases())
@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_an_odd_payload_comes_to_the_same_on_both_engines(case: Case) -> None:
    (jlens,), (reference,) = run(case), run(case, "jsonata-python")
    assert jlens.verdict == reference.verdict
    assert jlens.outcome.commands == reference.outcome.commands
    assert [_said(f) for f in jlens.outcome.failures] == [_said(f) for f in reference.outcome.failures]
