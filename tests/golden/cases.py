"""The golden cases beside this file, and what the interpreter makes of them without a store."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from engine.interpreter import Interpreter
from engine.jsonata import EngineName
from flows import golden
from flows.golden import Case
from flows.pins import sendings
from flows.providers import load_provider
from flows.trial import Trial
from schemas import canon

GOLDEN = Path(__file__).parent
PROVIDERS = GOLDEN.parents[1] / "providers"


@cache
def interpreter_of(provider: str, engine: EngineName = "jlens") -> Interpreter:
    return load_provider(PROVIDERS / f"{provider}.yaml", canon(), engine).interpreter


@cache
def cases() -> tuple[Case, ...]:
    shipped = {file.stem: interpreter_of(file.stem) for file in PROVIDERS.glob("*.yaml")}
    return tuple(golden.cases(GOLDEN, shipped))


def run(case: Case, engine: EngineName = "jlens") -> list[Trial]:
    """Every sending of a case, in order. A message that was accepted once makes the later ones duplicates."""
    return sendings(interpreter_of(case.provider, engine), case)
