"""The one module that knows a JSONata engine.

jlens serves; jsonata-python is the reference and the fallback. Both evaluate the same program text on
documents whose numbers are text. Every evaluation has time, step, depth, string, array and result limits,
and the functions that would make a result depend on the clock or on chance are refused by the checker.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jlens
import orjson

EngineName = Literal["jlens", "jsonata-python"]

SPENT_LIMITS = frozenset({"D1011", "D1012", "U1001", "U1006"})
"""Codes of errors that say a limit is spent: they sink the delivery, never one element."""

_PINNED: dict[str, Any] = {"now": 0, "seed": 0}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one evaluation: `timeout` in seconds, sizes in items, characters or bytes."""

    timeout: float = 2.0
    max_depth: int = 500
    max_steps: int = 50_000_000
    max_string_length: int = 10_000_000
    max_array_length: int = 1_000_000
    max_result_size: int = 64_000_000

    def options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


# jlens 0.25.0 does not give depth back after an error that a host function caught.
GUARDED = Limits(max_depth=1_000_000)
SERVING = Limits()


class JsonataError(Exception):
    """An expression that does not compile or an evaluation that fails.

    `start` and `end` are offsets in characters of the program text, None where unknown; `value` is the
    guilty value where the engine names it.
    """

    def __init__(self, code: str, message: str, start: int | None, end: int | None, value: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.start, self.end, self.value = code, message, start, end, value

    @property
    def spent(self) -> bool:
        return self.code in SPENT_LIMITS


Host = Mapping[str, Callable[..., Any]]
Run = Callable[[Any, Mapping[str, Any], Limits], Any]


def _from_jlens(error: jlens.JlensError) -> JsonataError:
    start = error.start if error.start is not None else error.position
    return JsonataError(error.code, str(error), start, error.end, error.value)


class Program:
    """A compiled JSONata program. `evaluate(document, bindings)` gives Python values; undefined is None."""

    def __init__(self, text: str, engine: EngineName = "jlens") -> None:
        self.text = text
        self.engine = engine
        self._expression = compile_text(text)
        # Handing over bindings that nothing reads costs as much as a small evaluation.
        self.binds = bool(reads(text).bindings)
        self._options = {**SERVING.options(), **_PINNED}

    def evaluate(self, document: Any, bindings: dict[str, Any] | None, limits: Limits | None = None) -> Any:
        """Raises JsonataError. Host functions may stand among the bindings (jlens and reference alike)."""
        if self.engine != "jlens":
            from engine.reference import evaluate_reference

            return evaluate_reference(self.text, document, bindings or {}, limits or SERVING)
        options = self._options if limits is None else {**limits.options(), **_PINNED}
        try:
            return self._expression.evaluate(document, bindings, **options)
        except jlens.JlensError as error:
            raise _from_jlens(error) from None
        except RecursionError:
            raise JsonataError("U1001", "the document is nested too deeply", None, None) from None

    def evaluate_parsed(
        self, document: ParsedDocument, bindings: dict[str, Any] | None, limits: Limits | None = None
    ) -> Any:
        """The same on a parsed document; other threads run meanwhile."""
        options = self._options if limits is None else {**limits.options(), **_PINNED}
        try:
            return self._expression.evaluate_document(document, bindings, **options)
        except jlens.JlensError as error:
            raise _from_jlens(error) from None


ParsedDocument = jlens.Document


def parsed_document(document: Any) -> ParsedDocument:
    """A document in the fast engine's own form, for several programs. Raises JsonataError where it is too deep."""
    try:
        return jlens.Document.from_json(orjson.dumps(document).decode())
    except (ValueError, jlens.JlensError) as error:
        raise JsonataError("U1001", str(error), None, None) from None


@functools.lru_cache(4096)
def compile_text(text: str) -> jlens.Expression:
    """Compiles an expression alone. Raises JsonataError with offsets in characters."""
    try:
        return jlens.Expression(text)
    except jlens.JlensError as error:
        raise _from_jlens(error) from None


@dataclass(frozen=True, slots=True)
class Reads:
    """What a program reads: `input` is a tree of the payload fields (True: whole; None: nothing at all);
    `bindings` the names it reads without the dollar sign."""

    input: Any
    bindings: frozenset[str]


def reads(text: str) -> Reads:
    """What an expression reads of its document and of its bindings. Raises JsonataError."""
    found = compile_text(text).reads()
    return Reads(found.get("input"), frozenset(found["bindings"]))


def apply(function: Any) -> Any:
    """Calls a function value that a program handed to a host function. Raises JsonataError."""
    try:
        return function()
    except jlens.JlensError as error:
        raise _from_jlens(error) from None
