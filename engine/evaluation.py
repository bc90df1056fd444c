"""Runs a feed's two programs: the fast one, and when it fails the guarded one that names every culprit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.compiler import FAILED, FAILED_LIST, NESTED, Lets, Source, compile_rules
from engine.counts import Counts
from engine.direct import direct_rules
from engine.jsonata import GUARDED, EngineName, JsonataError, Limits, ParsedDocument, Program, apply, parsed_document
from engine.model import Rule
from engine.places import Place, Scalar
from engine.tuples import maker

Index = tuple[int, ...]
"""The positions of an element in its `each` and in those round it, outermost first."""

LARGE = 65_536
"""From this many bytes of body on, the document goes to the engine parsed, so other threads run."""

SHORT = 10
"""A body with fewer bytes than this for each element that is accepted has no more of them worth counting first."""


class Row(NamedTuple):
    """One element's evaluated object, on its way to a command. The finishing stage fills it in place."""

    position: Index
    values: dict[str, Any]


_as_row = maker(Row)


@dataclass(frozen=True, slots=True)
class BadExpression:
    """An expression that failed. `rule` None: the delivery as a whole; `index` (): the rule as a whole."""

    rule: str | None
    index: Index
    scalar: Scalar | None
    place: Place | None
    error: JsonataError


class Evaluated(NamedTuple):
    """The rows of each rule (nested rules by `outer/inner`), the count of outermost elements, and failures."""

    rows: Mapping[str, list[Row]]
    bad: tuple[BadExpression, ...]


_as_evaluated = maker(Evaluated)


class RulesProgram:
    """The compiled rules of a feed or of one of its events."""

    def __init__(self, lets: Lets, rules: Mapping[str, Rule], engine: EngineName) -> None:
        self.rules = rules
        self.names = tuple(_names(rules))
        self.fast = compile_rules(lets, rules)
        self._lets = lets
        self._engine: EngineName = engine
        self._fast = Program(self.fast.text, engine)
        # The reference engine stays one for every expression.
        self._counts = Counts(lets, rules, engine)
        self._direct = direct_rules(rules) if engine == "jlens" else None
        self._nests = len(self.names) > len(rules) or engine != "jlens"
        self._guarded: tuple[Source, Program] | None = None

    @property
    def binds(self) -> bool:
        """Whether the rules read any variable that is handed in."""
        return self._fast.binds

    def evaluate(self, document: Any, bindings: dict[str, Any] | None, size: int, most: int = sys.maxsize) -> Evaluated:
        """Raises JsonataError only for spent limits; every other failure is among `bad`.

        `size` is the body's in bytes, `most` how many elements an outermost `each` may have: in a large body more
        raise TooManyElements, before any is evaluated.
        """
        if self._direct is not None and (direct := self._direct(document, most)) is not None:
            rows = {name: [_as_row(((n,), values)) for n, values in enumerate(found)] for name, found in direct.items()}
            return _as_evaluated((rows, ()))
        parsed = parsed_document(document) if size > LARGE and self._engine == "jlens" else None
        if size > max(LARGE, SHORT * most):
            self._counts.check(lambda program: _run(program, document, parsed, bindings, None), most)
        try:
            return self._flatten(_run(self._fast, document, parsed, bindings, None), [])
        except JsonataError as error:
            if error.spent:
                raise
        return self._isolate(document, parsed, bindings)

    def _isolate(self, document: Any, parsed: ParsedDocument | None, bindings: dict[str, Any] | None) -> Evaluated:
        source, program = self._guarded_program()
        trial = _Trial(source)
        try:
            results = _run(program, document, parsed, {**(bindings or {}), **trial.host}, GUARDED)
        except JsonataError as error:
            if error.spent:
                raise
            scalar, place = source.locate(error.start) or (None, None)
            return Evaluated({name: [] for name in self.names}, (BadExpression(None, (), scalar, place, error),))
        return self._flatten(results, trial.found)

    def _guarded_program(self) -> tuple[Source, Program]:
        if self._guarded is None:
            source = compile_rules(self._lets, self.rules, guarded=True)
            self._guarded = source, Program(source.text, self._engine)
        return self._guarded

    def _flatten(self, results: Any, found: list[list[_Found]]) -> Evaluated:
        rows: dict[str, list[Row]] = {name: [] for name in self.names}
        bad: list[BadExpression] = []
        if found or self._nests:
            _collect(results, self.rules, "", (), rows, bad, found)
        else:
            for name, elements in zip(self.names, results, strict=True):
                rows[name] = [_as_row(((n,), values)) for n, values in enumerate(elements) if values.__class__ is dict]
        return Evaluated(rows, tuple(bad))


def _run(
    program: Program,
    document: Any,
    parsed: ParsedDocument | None,
    bindings: dict[str, Any] | None,
    limits: Limits | None,
) -> Any:
    if parsed is not None:
        return program.evaluate_parsed(parsed, bindings, limits)
    return program.evaluate(document, bindings, limits)


def _names(rules: Mapping[str, Rule], prefix: str = "") -> list[str]:
    found = []
    for name, rule in rules.items():
        found.append(prefix + name)
        found += _names(rule.commands, f"{prefix}{name}/")
    return found


def _collect(
    results: Any,
    rules: Mapping[str, Rule],
    prefix: str,
    outer: Index,
    rows: dict[str, list[Row]],
    bad: list[BadExpression],
    found: list[list[_Found]],
) -> None:
    """Walks the nested arrays of a program's answer into flat rows. `rules` has the order of the arrays."""
    for (name, rule), elements in zip(rules.items(), _lists(results), strict=True):
        full = prefix + name
        target = rows[full]
        for n, values in enumerate(_lists(elements)):
            if values.__class__ is not dict:
                continue
            index = (*outer, n)
            if FAILED in values:
                bad += _bad(full, index, found[int(values[FAILED])])
                continue
            if FAILED_LIST in values:
                bad += _bad(full, outer, found[int(values[FAILED_LIST])])
                continue
            nested = values.pop(NESTED, None)
            target.append(Row(index, values))
            if nested is not None:
                _collect(nested, rule.commands, f"{full}/", index, rows, bad, found)


def _lists(value: Any) -> list[Any]:
    """The engines give undefined for an empty array in some positions, and numbers may come as floats."""
    if value.__class__ is list:
        return value
    return [] if value is None else [value]


_Found = tuple[tuple[Scalar, Place] | None, JsonataError]


def _bad(rule: str, index: Index, found: list[_Found]) -> list[BadExpression]:
    return [
        BadExpression(rule, index, place[0] if place else None, place[1] if place else None, error)
        for place, error in found
    ]


class _Trial:
    """The host functions of a guarded program, and what they caught."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.found: list[list[_Found]] = []
        self._open: list[list[_Found]] = []
        self.host: Mapping[str, Callable[..., Any]] = {
            "_try": self._try,
            "_try_list": self._try_list,
            "_guard": self._guard,
        }

    def _try(self, whole: Any, by_expression: Any = None) -> Any:
        try:
            return apply(whole)
        except JsonataError as error:
            if error.spent:
                raise
            return {FAILED: self._file(error, by_expression)}

    def _try_list(self, whole: Any) -> Any:
        try:
            return apply(whole)
        except JsonataError as error:
            if error.spent:
                raise
            return {FAILED_LIST: self._file(error, None)}

    def _file(self, error: JsonataError, by_expression: Any) -> int:
        caught: list[_Found] = []
        n = len(self.found)
        self.found.append(caught)
        if by_expression is not None:
            self._open.append(caught)
            try:
                apply(by_expression)
            except JsonataError as second:
                if second.spent:
                    raise
            finally:
                self._open.pop()
        if not caught:
            caught.append((self._source.locate(error.start), error))
        return n

    def _guard(self, span: float, function: Any) -> Any:
        try:
            return apply(function)
        except JsonataError as error:
            if error.spent:
                raise
            scalar = self._source.spans[int(span)].scalar
            self._open[-1].append((self._source.locate(error.start) or (scalar, scalar.place()), error))
            return None
